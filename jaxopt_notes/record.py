"""Records: frozen dataclasses whose numbers are pytree leaves.

Everything in this library that has hyperparameters is a record. A field is a *leaf* (a number, an
array, another record) unless it is declared with `static`, and then it is structure: a width, an
axis, a function. So `jax.vmap`, `jax.grad`, `jax.jit`, `jax.tree.map`, `dataclasses.replace`,
`pickle` and `print` work on optimizers, layers, schedules and whole training runs, with nothing
bolted on.

Records never validate themselves: JAX rebuilds them with tracers, `None` and bare objects in place
of numbers. The lower-case factory beside each record validates, with the `check_*` functions below,
and only what is concrete.
"""

import dataclasses
import functools
import inspect
from typing import Any, TypeVar, dataclass_transform

import jax
import numpy as np

Number = Any  # a Python number, a NumPy or JAX scalar, a tracer
T = TypeVar("T")


def static(default: Any = dataclasses.MISSING) -> Any:
    """A field of a record that is structure, not a leaf: hashable, compared by `==`, never traced.

    Arguments:
        default: the default value; without one the field is required.

    Example:
        >>> @record
        ... class Scale:
        ...     factor: Number
        ...     axis: int = static(-1)
        >>> jax.tree.leaves(Scale(2.0))
        [2.0]
    """
    return dataclasses.field(default=default, metadata={"static": True})


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(static, dataclasses.field))
def record(cls: type[T]) -> type[T]:
    """Class decorator: a frozen dataclass, registered as a pytree, printed like its constructor call.

    Equality is identity (`eq=False`), because arrays do not compare to a single bool.

    Example:
        >>> @record
        ... class Point:
        ...     x: Number
        ...     y: Number = 0.0
        >>> jax.tree.map(lambda leaf: 2 * leaf, Point(1.0, 3.0))
        Point(x=2.0, y=6.0)
        >>> dataclasses.replace(Point(1.0), y=5.0)
        Point(x=1.0, y=5.0)
    """
    cls = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
    cls.__repr__ = _repr  # type: ignore[method-assign]
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    meta = [f.name for f in fields if f.metadata.get("static")]
    data = [f.name for f in fields if not f.metadata.get("static")]
    keys = [jax.tree_util.GetAttrKey(name) for name in data]

    # Not jax.tree_util.register_dataclass: in jax 0.10 the structures of two dataclasses with the same
    # static values compare equal, so jit may run one class with the program compiled for another.
    def flatten(self: Any) -> tuple[list, tuple]:
        return [getattr(self, name) for name in data], tuple(getattr(self, name) for name in meta)

    def flatten_with_keys(self: Any) -> tuple[list, tuple]:
        leaves, aux = flatten(self)
        return list(zip(keys, leaves, strict=True)), aux

    def unflatten(aux: tuple, leaves: Any) -> Any:
        self = object.__new__(cls)
        self.__dict__.update(zip(data, leaves, strict=True))
        self.__dict__.update(zip(meta, aux, strict=True))
        return self

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def replace(record: T, **changes: Any) -> T:
    """A copy of a record with some fields changed; as `dataclasses.replace`.

    Arguments:
        record: any record; it stays as it is.
        changes: new values by field name. They are not validated: only factories do that.

    Example:
        >>> from jaxopt_notes.optimizers import adam
        >>> replace(adam(), learning_rate=0.1).learning_rate
        0.1
    """
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]


def _repr(self: Any) -> str:
    fields = ", ".join(f"{f.name}={_show(getattr(self, f.name))}" for f in dataclasses.fields(self))
    return f"{type(self).__name__}({fields})"


def _show(value: Any) -> str:
    """Numbers as numbers, arrays as `float32[3]`, functions by name: short enough to read."""
    if isinstance(value, jax.core.Tracer):
        return f"traced {value.aval.str_short()}"
    if isinstance(value, jax.tree_util.Partial):
        return _show(value.func) if not (value.args or value.keywords) else repr(value)
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        if value.ndim or not _is_readable(value):
            return f"{value.dtype}{list(value.shape)}"
        number = value.item()
        return f"{number:g}" if isinstance(number, float | complex) else repr(number)
    if isinstance(value, tuple):
        return f"({', '.join(map(_show, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(_show, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_show(v)}" for k, v in value.items()) + "}"
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    return repr(value)


def _is_readable(value: Any) -> bool:
    """False for keys, for what was donated, and for what lies on other hosts: it has no value to print."""
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended):
        return False
    return not isinstance(value, jax.Array) or (not value.is_deleted() and value.is_fully_addressable)


def is_function(value: Any) -> bool:
    """Whether it is there to be called. A distribution to search over is not: called, it says so.

    Example:
        >>> is_function(abs), is_function(0.1)
        (True, False)
    """
    return callable(value) and not hasattr(value, "from_unit")


def as_leaf(value: Any) -> Any:
    """A plain function made fit to be a leaf: wrapped in `jax.tree_util.Partial`; the rest unchanged.

    A bare function as a leaf fails as an argument of `jax.jit`; a `Partial` is a pytree without
    leaves whose function is structure. So are the arguments that a `functools.partial` has bound.
    """
    is_node = not jax.tree_util.all_leaves([value])  # a record, a Partial, a container
    if type(value) is functools.partial and _is_hashable(value.args, *value.keywords.values()):
        value = Bound(value)
    return jax.tree_util.Partial(value) if callable(value) and not is_node else value


def _is_hashable(*values: Any) -> bool:
    try:
        hash(values)
    except TypeError:
        return False
    return True


class Bound:
    """A `functools.partial` that equals another of the same function and arguments: they are one program.

    Example:
        >>> Bound(functools.partial(round, ndigits=1)) == Bound(functools.partial(round, ndigits=1))
        True
    """

    def __init__(self, partial: functools.partial):
        self.partial = partial

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.partial(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.partial)

    def _key(self) -> tuple:
        arguments = [*enumerate(self.partial.args), *sorted(self.partial.keywords.items())]
        return self.partial.func, tuple((name, type(value), value) for name, value in arguments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bound) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        arguments = [*map(repr, self.partial.args), *(f"{k}={v!r}" for k, v in self.partial.keywords.items())]
        return f"partial({', '.join([_show(self.partial.func), *arguments])})"


def concrete(value: Any) -> np.ndarray | None:
    """The value as a NumPy array if it is known now; None for tracers and for what is not a number."""
    if isinstance(value, jax.core.Tracer | jax.ShapeDtypeStruct):
        return None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    if array.dtype.kind == "V":  # bfloat16 and float8 are extension dtypes to NumPy
        array = array.astype(np.float32)
    return array if array.dtype.kind in "biuf" else None


def check_number(where: str, value: Any, interval: str = "(-inf, inf)", remedy: str = "") -> Number:
    """Return `value` if every number in it lies in `interval`, else raise; tracers pass unchecked.

    What is concrete and integer comes back as floating-point: a number in an interval is a leaf that a
    gradient reaches, also where somebody writes `decay_steps=200`. Counts and sizes are for `check_count`.

    Arguments:
        where: the argument's name with its factory, as in "adam(b1)".
        value: a number, an array of numbers (a batch), or a tracer.
        interval: "[0, 1)", "(0, inf)", … as mathematicians write it; NaN lies in none.
        remedy: what to do instead, appended to the message.

    Raises:
        TypeError: `value` is not a number. ValueError: it lies outside.

    Example:
        >>> check_number("adam(b1)", 1.5, "[0, 1)", "the usual value is 0.9")
        Traceback (most recent call last):
        ValueError: adam(b1) is 1.5, expected a number in [0, 1): the usual value is 0.9.
    """
    if isinstance(value, jax.core.Tracer | jax.ShapeDtypeStruct) or type(value) is object:
        return value
    array = concrete(value)
    hint = f": {remedy}" if remedy else ""
    if array is None:
        raise TypeError(f"{where} is {value!r}, expected a number in {interval}{hint}.")
    low, high = (float(end) for end in interval[1:-1].split(","))
    array = np.atleast_1d(array)
    above = array > low if interval[0] == "(" else array >= low
    below = array < high if interval[-1] == ")" else array <= high
    bad = array[~(above & below)]
    if bad.size:
        raise ValueError(f"{where} is {bad[0]:g}, expected a number in {interval}{hint}.")
    return jax.tree.map(_as_real, value)


def check_seed(where: str, value: Any, remedy: str = "") -> Number:
    """Return `value` as it is if every number in it is ≥ 0, else raise; tracers pass unchecked.

    A seed is the one kind of number that stays an integer leaf: it is exact, and nothing has a slope by it.

    Raises:
        TypeError: `value` is not a number. ValueError: it is negative.
    """
    check_number(where, value, "[0, inf)", remedy)
    return value


def _as_real(value: Any) -> Number:
    if isinstance(value, jax.Array) and value.dtype.kind in "biu":
        return value.astype(jax.dtypes.canonicalize_dtype(float))
    if isinstance(value, np.ndarray) and value.dtype.kind in "biu":
        return value.astype(np.float64)
    return float(value) if isinstance(value, int | np.integer | np.bool_) else value


def check_count(where: str, value: Any, low: int = 0, remedy: str = "") -> int:
    """Return `value` as an int if it is a whole number ≥ `low`; for static sizes and counts.

    Raises:
        TypeError: `value` is not a whole number (a tracer, a float). ValueError: it is below `low`.
    """
    hint = f": {remedy}" if remedy else ""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{where} is {value!r}, expected a whole number of at least {low}{hint}.")
    if value < low:
        raise ValueError(f"{where} is {value}, expected a whole number of at least {low}{hint}.")
    return int(value)


def check_choice(where: str, value: Any, choices: tuple) -> Any:
    """Return `value` if it is one of `choices`, else raise a ValueError that lists them."""
    if value not in choices:
        raise ValueError(f"{where} is {value!r}, expected one of {', '.join(map(repr, choices))}.")
    return value


def check_takes(where: str, function: Any, count: int, called_as: str) -> Any:
    """Return `function` if it can be called with so many arguments by position, as far as that is known.

    Raises:
        TypeError: it cannot be called, or takes other arguments.
    """
    if callable(function):
        try:
            inspect.signature(function).bind(*range(count))
        except ValueError:  # it does not say what it takes
            return function
        except TypeError:
            name, takes = getattr(function, "__name__", type(function).__name__), inspect.signature(function)
            raise TypeError(
                f"{where} is {name}{takes}, expected a function that is called as {called_as}."
            ) from None
        return function
    raise TypeError(f"{where} is {function!r}, expected a function that is called as {called_as}.")

"""Why a build cannot be traced, in the words of the space: which hyperparameter, and what to write instead.

Hyperparameters that are data are traced: one program serves all their values. A build that needs such a value
while it is traced (a width, a branch) fails somewhere inside JAX or a layer, and that error knows nothing of
spaces. Which one it is `tracing` finds out.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.search.export import as_written
from jaxopt_notes.search.member import Runs, shapes_of
from jaxopt_notes.search.rule import several_numbers
from jaxopt_notes.search.spaces.choices import Choice
from jaxopt_notes.search.spaces.distributions import Distribution, Integers
from jaxopt_notes.search.spaces.space import Configs, dimensions, fill
from jaxopt_notes.tracing import WHILE_TRACED, missing_name, needed_values


def check_run(runs: Runs, config: Configs, data: tuple) -> None:
    """Trace a run of one epoch, without compiling or training anything.

    Arguments:
        runs: build, space, static choices and monitor.
        config: the values of one configuration, by name, static choices left out.
        data: (train, validation).

    Raises:
        TypeError, ValueError: the build cannot be traced, makes no `Trainer`, or has no such history.
    """
    try:
        history = _trace(runs, config, runs.space, data)
    except Exception as error:
        if (explained := explain(runs, config, data)) is not None:
            raise explained from error
        raise
    runs.check_names(history)


def explain(runs: Runs, config: Configs, data: tuple) -> Exception | None:
    """The error to raise instead of the one that tracing raises; `None` if there is nothing to add."""
    known = {name: np.asarray(value).item() for name, value in config.items()}

    def fails(space: Any) -> bool:
        try:
            _trace(runs, config, space, data)
        except Exception:
            return True
        return False

    if not fails(runs.space):
        return None
    h = fill(runs.space, {**known, **runs.static})
    if (missing := missing_name(runs.build, h, "h")) is not None:
        return ValueError(f"sweep(build) reads {missing}")
    try:
        built = runs.build(h)
    except Exception:
        built = None
    else:
        if not all(hasattr(built, method) for method in ("init", "advance")):
            return TypeError(f"sweep(build) returned {built!r}, expected a Trainer.")
    axes = dimensions(runs.space)
    needed = needed_values(_run(runs, runs.space), config, jax.random.key(0), data)
    if needed := [name for name in needed if name in axes]:  # a fold is none
        return TypeError(_needs_value(needed, axes))
    for path, values in jax.tree.leaves_with_path(runs.space, is_leaf=_is_list):
        if _is_list(values) and not fails(_with(runs.space, path, _plain(values)[0])):
            return TypeError(_is_constant(path_name(path), values))
    try:
        _trace(runs, config, runs.space, data)
    except _NoNumberError as error:
        return ValueError(str(error))
    except Exception:
        pass
    return None


class _NoNumberError(ValueError):
    """What is watched has several numbers in each epoch."""


def _trace(runs: Runs, config: Configs, space: Any, data: tuple) -> Tree:
    """The shapes of the history of one epoch."""
    return jax.eval_shape(_run(runs, space), config, jax.random.key(0), shapes_of(data))


def _run(runs: Runs, space: Any) -> Callable[[Configs, jax.Array, tuple], Tree]:
    """One epoch of a run: (configuration, key, data) → history."""

    def run(config: Configs, key: jax.Array, data: tuple) -> Tree:
        trainer = runs.build(fill(space, {**config, **runs.static}))
        train, valid = runs.data_of(config, *data)
        history = runs.counted(*trainer.advance(trainer.init(key, train), train, valid, 1))
        for name in (*runs.monitors, *runs.bounded):
            shape = np.shape(history.get(name, 0.0))
            if shape not in ((), (1,)):  # the number of an epoch, or the curve of one epoch
                raise _NoNumberError(several_numbers(name, shape[1:]))
        return history

    return run


def _needs_value(names: list[str], axes: dict[str, Distribution]) -> str:
    used = " and ".join("h" + "".join(f"[{part!r}]" for part in name.split("/")) for name in names)
    values = ", ".join(_some_values(axes[names[0]]))
    return (
        f"sweep(build) needs the value of {used} {WHILE_TRACED}; but what is drawn from such a distribution "
        f"is data, and one program serves all its values. For structure write {names[0]!r}: "
        f"jn.static_choice([{values}]), which compiles once for each value; to choose between numbers "
        "jnp.where(condition, a, b)."
    )


def _some_values(axis: Distribution) -> list[str]:
    """A few values of a distribution, to show how the other one is written."""
    count = len(axis.values) if isinstance(axis, Choice) else 4 if isinstance(axis, Integers) else 3
    found = np.asarray(axis.grid(count))
    return [f"{value:g}" for value in found[:4].tolist()] + (["…"] if len(found) > 4 else [])


def _is_list(leaf: Any) -> bool:
    """Whether it is a list of plain values, as one to search over would be; or a row of numbers."""
    if isinstance(leaf, np.ndarray | jax.Array):
        return leaf.ndim == 1 and leaf.size > 0 and leaf.dtype.kind in "iuf"
    plain = type(leaf) in (list, tuple, range, set) and len(leaf) > 0
    return plain and all(isinstance(x, int | float | str) or callable(x) for x in leaf)


def _plain(values: Any) -> list:
    """The values themselves; those of arrays with the digits that people write."""
    if isinstance(values, np.ndarray | jax.Array):
        return [as_written(value) for value in np.asarray(values)]
    return list(values)


def _is_constant(name: str, values: Any) -> str:
    plain = _plain(values)
    numbers = all(isinstance(value, int | float) for value in plain)
    text = ", ".join(map(_named, plain))
    remedy = f"jn.{'choice' if numbers else 'static_choice'}([{text}]) searches over its values"
    if numbers and isinstance(values, tuple) and len(values) == 2:
        remedy = f"jn.uniform({text}) or jn.log_uniform({text}) searches between the two, and {remedy}"
    kind = "array" if isinstance(values, np.ndarray | jax.Array) else type(values).__name__
    found = f"the {kind} ({text})" if isinstance(values, tuple) else f"the {kind} [{text}]"
    return f"sweep(space): {name!r} is {found}, which is one constant for all configurations: {remedy}."


def _named(value: Any) -> str:
    return getattr(value, "__name__", repr(value))


def _with(space: Any, path: tuple, value: Any) -> Any:
    """The space with another value at one place."""
    return jax.tree.map_with_path(
        lambda here, leaf: value if here == path else leaf,
        space,
        is_leaf=lambda leaf: _is_list(leaf) or isinstance(leaf, Distribution),
    )

"""A module of Flax linen as a model of a `Trainer`: the layer protocol around its `init` and `apply`."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.interop.calling import as_before, mode_of_call
from jaxopt_notes.layers.layer import Shaped
from jaxopt_notes.record import record, static

PLACES = ("parent", "name")  # fields of a module that say where it stands, not what it is


@record
class LinenModel:
    """See `linen_model`."""

    numbers: list
    module: Any = static()

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        from flax import linen

        module = _with_numbers(self.module, iter(self.numbers))
        x = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), x)
        variables = linen.unbox(module.init(key, x, **mode_of_call(module.__call__, False)))
        state = {name: part for name, part in variables.items() if name != "params"}
        return variables.get("params", {}), state or ()

    def apply(
        self, params: Tree, state: Tree, x: Tree, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[Tree, Tree]:
        module = _with_numbers(self.module, iter(self.numbers))
        mode = mode_of_call(module.__call__, train)
        rngs = None if key is None else {"params": key}  # what streams of other names fall back to
        variables = {"params": params, **(state or {})}
        if not (train and state):
            return module.apply(variables, x, rngs=rngs, **mode), state
        y, moved = module.apply(variables, x, rngs=rngs, mutable=list(state), **mode)
        return y, as_before({name: moved.get(name, part) for name, part in state.items()}, state)


def linen_model(module: Any) -> LinenModel:
    """A module of Flax linen as a layer: `Trainer(model=module)` makes this of it by itself.

        y, state = module.apply({"params": params, **state}, x, train=train, rngs=key, mutable=state)

    Arguments:
        module: a `flax.linen.Module`. Of the arguments of its call, `train`, `training`, `is_training`, and
            the opposites `deterministic`, `inference`, `use_running_average`, are told by the loop. Fields
            that are arrays or traced numbers are leaves of the model, so a sweep may search over them.

    Returns:
        A `LinenModel` layer. Its parameters are the collection "params", its state the other collections
        (`batch_stats`): `module.apply({"params": params, **state}, x)` uses what was trained.

    Raises:
        TypeError: not such a module.

    Example:
        >>> from flax import linen as nn  # doctest: +SKIP
        >>> trainer = Trainer(nn.Dense(10), adam(1e-3), softmax_cross_entropy)  # doctest: +SKIP

    Elsewhere: Flax's own `TrainState` leaves the collections, the random streams and the mode to the caller.
        Examples that only fill the last batch of an epoch count in `nn.BatchNorm`, as they do not in ours.
    """
    from flax import linen

    if not isinstance(module, linen.Module):
        raise TypeError(f"linen_model(module) is {module!r}, expected a flax.linen.Module.")
    numbers: list = []
    return LinenModel(numbers, _without_numbers(module, numbers))


def _is_number(value: Any) -> bool:
    return isinstance(value, jax.Array)  # tracers too


class _Number:
    """Where a number was taken out of a module: equal to any other such place."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Number)

    def __hash__(self) -> int:
        return hash(_Number)


def _mapped(value: Any, change: Any) -> Any:
    """A module, or a container of modules, with its numbers (or their places) changed."""
    if _is_number(value) or isinstance(value, _Number):
        return change(value)
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return type(value)(_mapped(part, change) for part in value)
    if not (dataclasses.is_dataclass(value) and hasattr(value, "clone")):
        return value
    own = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
    changed = {name: _mapped(part, change) for name, part in own.items() if name not in PLACES}
    if all(changed[name] is own[name] for name in changed):
        return value
    return value.clone(**changed)


def _without_numbers(module: Any, numbers: list) -> Any:
    def take_out(number: Any) -> _Number:
        numbers.append(number)
        return _Number()

    return _mapped(module, take_out)


def _with_numbers(module: Any, numbers: Any) -> Any:
    return _mapped(module, lambda _: next(numbers))

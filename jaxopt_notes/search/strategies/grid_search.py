"""Grid search: every combination of a few values a dimension."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import Number, check_count, concrete, record, static
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions

__all__ = ["GridSearch", "grid_search", "grid_size"]


class GridState(NamedTuple):
    """The values of each dimension, and how many combinations have been asked for."""

    axes: dict[str, jax.Array]
    asked: Number


@record
class GridSearch:
    """See `grid_search`."""

    points: Any = static()  # an int, or a tuple of (name, int)

    objectives = None  # whatever they are, it does not learn from them

    def init(self, key: jax.Array, space: Space) -> GridState:
        found = dimensions(space)
        wanted = dict.fromkeys(found, self.points) if isinstance(self.points, int) else dict(self.points)
        if unknown := sorted(set(wanted) ^ set(found)):
            raise ValueError(
                f"grid_search(points) has {sorted(wanted)}, the space has {sorted(found)}: "
                f"give one number of points for each name ({', '.join(unknown)} differ), or one for all."
            )
        return GridState({name: axis.grid(wanted[name]) for name, axis in found.items()}, 0)

    def remaining(self, state: GridState) -> int:
        return grid_size(state.axes) - int(state.asked)

    def ask(self, state: GridState, key: jax.Array, n: int) -> tuple[Configs, GridState]:
        if concrete(state.asked) is not None and n > self.remaining(state):
            raise ValueError(
                f"grid_search: asked for {n} configurations, {self.remaining(state)} of "
                f"{grid_size(state.axes)} are left: raise points= or ask for fewer."
            )
        index = jnp.asarray(state.asked, int) + jnp.arange(n, dtype=jnp.result_type(int))
        configs = {}
        for name, axis in reversed(state.axes.items()):  # the last dimension changes fastest
            configs[name] = axis[index % len(axis)]
            index = index // len(axis)
        return {name: configs[name] for name in state.axes}, state._replace(asked=state.asked + n)

    def tell(self, state: GridState, configs: Configs, scores: jax.Array) -> GridState:
        return state


def grid_size(axes: dict[str, jax.Array]) -> int:
    """The number of combinations, kᴺ for k values in each of N dimensions.

    Example:
        >>> grid_size({"a": np.arange(7), "b": np.arange(7), "c": np.arange(7)})
        343
    """
    return int(np.prod([len(axis) for axis in axes.values()], dtype=np.int64))


def grid_search(points: int | dict[str, int] = 3) -> GridSearch:
    """Every combination of evenly spread values, in a fixed order, the last dimension fastest.

        configurations = {x₁⁽¹⁾ … x₁⁽ᵏ¹⁾} × … × {xₙ⁽¹⁾ … xₙ⁽ᵏⁿ⁾}        count = k₁·…·kₙ

    Arguments:
        points: values a dimension: one number for all, or a dict from every name to its number. Even
            quantiles, ends included; choices bring all their values, integers at most as many as
            they have.

    Returns:
        A `GridSearch` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs,
        scores)`, and `remaining(state)`, how many configurations it still has.

    Raises:
        ValueError: fewer than one point; names that are not those of the space.
        TypeError: `points` is not a whole number.

    Example:
        >>> from jaxopt_notes.search import choice, uniform
        >>> strategy = grid_search(points=2)
        >>> key = jax.random.key(0)
        >>> state = strategy.init(key, {"rate": uniform(0.0, 1.0), "size": choice([4, 8, 16])})
        >>> configs, state = strategy.ask(state, key, strategy.remaining(state))
        >>> configs["rate"], configs["size"]
        (Array([0., 0., 0., 1., 1., 1.], dtype=float32), Array([ 4,  8, 16,  4,  8, 16], dtype=int32))

    With more than three or four dimensions use no grid: the number of trainings is a power of them, and along
    the dimension that matters only k values are ever tried.

    Source: Goodfellow, Bengio & Courville 2016, section 11.4.3.

    Elsewhere: scikit-learn's ParameterGrid and optuna's GridSampler take lists of values and no
    ranges. When few of many dimensions matter, `random_search` tries more values of each.
    """
    if isinstance(points, dict):
        counts = {name: check_count(f"grid_search(points[{name!r}])", k, 1) for name, k in points.items()}
        return GridSearch(tuple(sorted(counts.items())))
    return GridSearch(check_count("grid_search(points)", points, 1))

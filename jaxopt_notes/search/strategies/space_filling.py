"""Space-filling strategies: all points are laid out in `init` and handed out in order, whatever the scores.

Such a strategy says only what its points of the unit cube are. The state holds them, so it is resumed
on any machine, with any version of what made them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import Number
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.spaces.unit_cube import as_configs
from jaxopt_notes.search.strategies.on_host import on_host
from jaxopt_notes.search.strategies.trials import check_batch


class SpaceFillingState(NamedTuple):
    """The points of the unit cube [n, dimensions], and how many have been asked for."""

    dimensions: dict[str, Distribution]
    points: jax.Array
    asked: Number


class SpaceFilling:
    """What such strategies share."""

    objectives = None  # whatever they are, it does not learn from them

    def points(self, key: jax.Array, d: int) -> jax.Array:
        """All points that the strategy will ever hand out, in [0, 1), [n, d]."""
        raise NotImplementedError

    def init(self, key: jax.Array, space: Space) -> SpaceFillingState:
        axes = dimensions(space)
        return SpaceFillingState(axes, self.points(key, len(axes)), 0)

    def remaining(self, state: SpaceFillingState) -> int:
        return len(state.points) - int(state.asked)

    def ask(self, state: SpaceFillingState, key: jax.Array, n: int) -> tuple[Configs, SpaceFillingState]:
        check_batch(type(self).__name__, n, len(state.points) - state.asked)
        row = jnp.asarray(state.asked, int) + jnp.arange(n, dtype=jnp.result_type(int))
        return as_configs(state.dimensions, jnp.asarray(state.points)[row]), state._replace(
            asked=state.asked + n
        )

    def tell(self, state: SpaceFillingState, configs: Configs, scores: jax.Array) -> SpaceFillingState:
        return state


def drawn_on_host(
    draw: Callable[[np.random.Generator], np.ndarray], key: jax.Array, shape: tuple[int, ...]
) -> jax.Array:
    """What a library draws with NumPy's generator, seeded by a JAX key; inside `jit` too."""
    kind = jnp.result_type(float)

    def call(data: np.ndarray) -> np.ndarray:
        return np.asarray(draw(np.random.default_rng(data)), kind)

    return jnp.asarray(on_host(call, jax.ShapeDtypeStruct(shape, kind), jax.random.key_data(key)))

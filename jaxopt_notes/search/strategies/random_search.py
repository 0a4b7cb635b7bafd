"""Random search: independent configurations, each dimension drawn from its distribution."""

import functools
import zlib
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_count, record, static
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions

__all__ = ["RandomSearch", "random_search"]


class RandomState(NamedTuple):
    """The distributions by name, and how many configurations have been asked for."""

    dimensions: dict[str, Distribution]
    asked: Number


@record
class RandomSearch:
    """See `random_search`."""

    n: int = static()

    objectives = None  # whatever they are, it does not learn from them

    def init(self, key: jax.Array, space: Space) -> RandomState:
        return RandomState(dimensions(space), 0)

    def remaining(self, state: RandomState) -> int:
        return max(self.n - int(state.asked), 0)

    def go_on(self, state: RandomState, fresh: RandomState) -> RandomState:
        return state

    def ask(self, state: RandomState, key: jax.Array, n: int) -> tuple[Configs, RandomState]:
        return _sample(state.dimensions, key, n), state._replace(asked=state.asked + n)

    def tell(self, state: RandomState, configs: Configs, scores: jax.Array) -> RandomState:
        return state


@functools.partial(jax.jit, static_argnums=2)
def _sample(dimensions: dict[str, Distribution], key: jax.Array, n: int) -> Configs:
    """`n` draws of each dimension, in one program, where those of the unit interval are drawn at once."""
    # a key from the name: another dimension in the space leaves the draws of this one alone
    own = {name: jax.random.fold_in(key, zlib.crc32(name.encode())) for name in dimensions}
    plain = [name for name, axis in dimensions.items() if type(axis).sample is Distribution.sample]
    points: dict[str, jax.Array] = {}
    if plain:
        draw = jax.vmap(lambda key: jax.random.uniform(key, (n,), jnp.result_type(float)))
        points = dict(zip(plain, draw(jnp.stack([own[name] for name in plain])), strict=True))
    return {
        name: axis.from_unit(points[name]) if name in points else axis.sample(own[name], n)
        for name, axis in dimensions.items()
    }


def random_search(n: int) -> RandomSearch:
    """`n` independent configurations: each guess is free of those before it.

        xᵢ ~ p(x₁)·…·p(x_d)        i = 1 … n

    Arguments:
        n: configurations in all; `ask` may be called for more.

    Returns:
        A `RandomSearch` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs,
        scores)`, and `remaining(state)`. The draws depend on the key alone; with a larger n, or with
        a further dimension, those there were stay the same.

    Raises:
        ValueError: n < 1. TypeError: n is not a whole number.

    Example:
        >>> from jaxopt_notes.search import log_uniform
        >>> strategy, key = random_search(4), jax.random.key(0)
        >>> state = strategy.init(key, {"rate": log_uniform(1e-4, 1e-1)})
        >>> configs, state = strategy.ask(state, key, 4)
        >>> configs["rate"].shape, strategy.remaining(state)
        ((4,), 0)

    Source: Bergstra & Bengio 2012.

    Elsewhere: scikit-learn's ParameterSampler, optuna's RandomSampler: one at a time, on the host.
    """
    return RandomSearch(check_count("random_search(n)", n, 1))

"""Random search: independent configurations, each dimension drawn from its distribution."""

import zlib
from typing import Any, NamedTuple

import jax

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions

__all__ = ["RandomSearch", "random_search"]


class RandomState(NamedTuple):
    """The distributions by name, and how many configurations have been asked for."""

    dimensions: dict[str, Distribution]
    asked: Any


@record
class RandomSearch:
    """See `random_search`."""

    n: int = static()

    def init(self, key: jax.Array, space: Space) -> RandomState:
        return RandomState(dimensions(space), 0)

    def remaining(self, state: RandomState) -> int:
        return max(self.n - int(state.asked), 0)

    def go_on(self, state: RandomState, fresh: RandomState) -> RandomState:
        return state

    def ask(self, state: RandomState, key: jax.Array, n: int) -> tuple[Configs, RandomState]:
        configs = {
            # a key from the name: another dimension in the space leaves the draws of this one alone
            name: axis.sample(jax.random.fold_in(key, zlib.crc32(name.encode())), n)
            for name, axis in state.dimensions.items()
        }
        return configs, state._replace(asked=state.asked + n)

    def tell(self, state: RandomState, configs: Configs, scores: jax.Array) -> RandomState:
        return state


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

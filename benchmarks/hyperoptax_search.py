"""hyperoptax's Bayesian search as a strategy of ours, to be measured beside the others.

    pip install --no-deps --target FOLDER hyperoptax==0.2.0
    PYTHONPATH=.:FOLDER python -m benchmarks.searches --contenders "hyperoptax 0.2"

Everything is as it comes, in batches of eight. Its two steps are compiled once a problem: called as its own
`optimize` calls them, they are compiled again in every batch, with the same results. A conditional
hyperparameter is always active, and values without order are numbers 0, 1, …, because it knows neither; a
training that diverges has the worst score so far, because one NaN would make all its predictions NaN.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.search.spaces.conditional import Conditional
from jaxopt_notes.search.spaces.distributions import Distribution, Integers, LogUniform
from jaxopt_notes.search.surrogates.encoding import levels


class HyperoptaxState(NamedTuple):
    """hyperoptax's own state, the batch that waits for its scores, and the worst score so far."""

    inner: Any
    asked: Any
    told: int
    worst: float


class HyperoptaxSearch(NamedTuple):
    """`BayesianSearch` of hyperoptax, minimizing: n configurations in whole batches."""

    n: int
    batch: int

    def init(self, key: jax.Array, space: dict[str, Distribution]) -> HyperoptaxState:
        from hyperoptax import BayesianSearch

        axes = {name: as_theirs(axis) for name, axis in space.items()}
        inner, _ = BayesianSearch.init(axes, n_max=self.n)
        return HyperoptaxState(inner, None, 0, -np.inf)

    def remaining(self, state: HyperoptaxState) -> int:
        return min(self.batch, self.n - state.told)

    def ask(self, state: HyperoptaxState, key: jax.Array, n: int) -> tuple[dict, HyperoptaxState]:
        asked = steps(self.batch)[0](state.inner, key)
        return asked, state._replace(asked=asked)

    def tell(self, state: HyperoptaxState, configs: dict, scores: np.ndarray) -> HyperoptaxState:
        finite = np.isfinite(scores)
        worst = float(np.max(scores, initial=state.worst, where=finite))
        told = jnp.asarray(np.where(finite, scores, worst if np.isfinite(worst) else 0.0))
        inner = steps(self.batch)[1](state.inner, jax.random.key(0), told, state.asked)
        return HyperoptaxState(inner, None, state.told + len(scores), worst)


@functools.cache
def steps(batch: int) -> tuple[Callable, Callable]:
    """What proposes a batch, and what learns from its scores."""
    from hyperoptax import BayesianSearch

    search = BayesianSearch(maximize=False, n_parallel=batch)
    return jax.jit(search.get_next_params), jax.jit(search.update_state)


def as_theirs(axis: Any) -> Any:
    """The space of hyperoptax that is nearest to one of ours."""
    from hyperoptax import DiscreteSpace, LinearSpace, LogSpace

    if isinstance(axis, Conditional):
        axis = axis.distribution
    if (count := levels(axis)) is not None:
        first = int(axis.low) if isinstance(axis, Integers) else 0
        return DiscreteSpace(tuple(range(first, first + count)))
    kind = LogSpace if isinstance(axis, LogUniform) else LinearSpace
    return kind(float(axis.low), float(axis.high))

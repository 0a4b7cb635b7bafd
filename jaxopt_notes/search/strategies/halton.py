"""Halton's sequence: each hyperparameter counts in a prime base of its own, with its digits reversed.

SciPy makes the points, on the host, in `init`; the state holds them.
"""

import jax

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.strategies.space_filling import SpaceFilling, SpaceFillingState, drawn_on_host

__all__ = ["Halton", "halton"]


@record
class Halton(SpaceFilling):
    """See `halton`."""

    n: int = static()

    def go_on(self, state: SpaceFillingState, fresh: SpaceFillingState) -> SpaceFillingState:
        return fresh._replace(asked=state.asked)  # the points there were are the first of the new ones

    def points(self, key: jax.Array, d: int) -> jax.Array:
        from scipy.stats import qmc

        return drawn_on_host(
            lambda rng: qmc.Halton(d, scramble=True, seed=rng).random(self.n), key, (self.n, d)
        )


def halton(n: int) -> Halton:
    """`n` points of Halton's sequence, scrambled: even for any n, best for up to about ten hyperparameters.

        uᵢⱼ = Σₖ π_{j,k}(digit k of i in base pⱼ)·pⱼ^−(k+1),   pⱼ the j-th prime, π random permutations

    Arguments:
        n: configurations in all.

    Returns:
        A `Halton` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs, scores)`, and
        `remaining(state)`. The key of `init` decides all of them; with a larger n those there were
        stay the same.

    Raises:
        ValueError: n < 1. TypeError: n is not a whole number.

    Example:
        >>> from jaxopt_notes.search import integers
        >>> strategy, key = halton(6), jax.random.key(0)
        >>> state = strategy.init(key, {"depth": integers(0, 2)})
        >>> sorted(strategy.ask(state, key, 6)[0]["depth"].tolist())
        [0, 0, 0, 1, 1, 1]

    Source: Halton 1960; Owen 2017 (scrambling).

    Elsewhere: scipy.stats.qmc.Halton, which this is; optuna's QMCSampler(qmc_type="halton").
    """
    return Halton(check_count("halton(n)", n, 1))

"""Sobol's sequence: points that leave no part of the space empty, scrambled by the key.

SciPy makes them, on the host, in `init`; the state holds them.
"""

import jax

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.strategies.space_filling import SpaceFilling, SpaceFillingState, drawn_on_host

__all__ = ["Sobol", "sobol"]


@record
class Sobol(SpaceFilling):
    """See `sobol`."""

    n: int = static()

    def go_on(self, state: SpaceFillingState, fresh: SpaceFillingState) -> SpaceFillingState:
        return fresh._replace(asked=state.asked)  # the points there were are the first of the new ones

    def points(self, key: jax.Array, d: int) -> jax.Array:
        from scipy.stats import qmc

        # a whole power of two, and the first n of it: in those the sequence is balanced
        power = (self.n - 1).bit_length()
        return drawn_on_host(
            lambda rng: qmc.Sobol(d, scramble=True, seed=rng).random_base2(power)[: self.n], key, (self.n, d)
        )


def sobol(n: int) -> Sobol:
    """`n` points of Sobol's sequence, scrambled: even in every hyperparameter and in pairs of them.

        uᵢⱼ = scrambled ⊕ of the direction numbers V_{j,k} over the bits k of the Gray code of i

    Arguments:
        n: configurations in all; powers of two are balanced: each of 2ᵏ equal intervals of a hyperparameter
            has equally many. At most 21,201 hyperparameters.

    Returns:
        A `Sobol` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs, scores)`, and
        `remaining(state)`. The key of `init` decides all of them; with a larger n those there were
        stay the same.

    Raises:
        ValueError: n < 1. TypeError: n is not a whole number.

    Example:
        >>> from jaxopt_notes.search import integers
        >>> strategy, key = sobol(8), jax.random.key(0)
        >>> state = strategy.init(key, {"depth": integers(0, 4)})
        >>> sorted(strategy.ask(state, key, 8)[0]["depth"].tolist())
        [0, 0, 1, 1, 2, 2, 3, 3]

    Source: Sobol 1967; Joe & Kuo 2008 (direction numbers); Owen 1998, Matoušek 1998 (scrambling).

    Elsewhere: scipy.stats.qmc.Sobol, which this is; optuna's QMCSampler; torch.quasirandom.SobolEngine.
    """
    return Sobol(check_count("sobol(n)", n, 1))

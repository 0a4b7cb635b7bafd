"""ASHA: successive halving without waiting for rungs to fill.

A trial that is now among the best 1/η of those scored in its rung is promoted at once; when there is none,
the first rung grows by a fresh configuration. Here whole batches are handed out: everything that can be
promoted, the highest rungs first, and fresh configurations for the rest of the batch. So every batch is
full until the fresh ones are used up.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.spaces.space import Configs, Space
from jaxopt_notes.search.strategies.trials import (
    Trials,
    arrays_of,
    ask_trials,
    check_batch,
    count_by_rung,
    has_score,
    no_trials,
    rank_in_group,
    tell_trials,
)

__all__ = ["ASHA", "asha"]


@record
class ASHA:
    """See `asha`."""

    n: int = static()
    batch: int = static()
    min_epochs: int = static()
    max_epochs: int = static()
    eta: int = static()

    def init(self, key: jax.Array, space: Space) -> Trials:
        return no_trials(space, self.n * len(self._epochs()))

    def remaining(self, state: Trials) -> int:
        return int(self._wanted(state))

    def ask(self, state: Trials, key: jax.Array, n: int) -> tuple[Configs, Trials]:
        check_batch("asha", n, self._wanted(state))
        xp, state = arrays_of(state, key)
        chosen = self.promotable(state)
        rank = rank_in_group(state.rung, state.scores)
        queue = xp.lexsort((rank, -state.rung, ~chosen))[:n]  # the highest rung first, then the best
        promoted = chosen[queue]
        parent = xp.where(promoted, queue, -1)
        rung = xp.where(promoted, state.rung[queue] + 1, 0)
        return ask_trials(state, key, parent, xp.asarray(self._epochs())[rung], rung, self.batch)

    def tell(self, state: Trials, configs: Configs, scores: jax.Array) -> Trials:
        return tell_trials(state, scores)

    def promotable(self, state: Trials) -> jax.Array:
        """Which trials are among the best 1/η of their rung and were not promoted yet [capacity]."""
        xp, state = arrays_of(state)
        number = xp.arange(len(state.rung), dtype=state.rung.dtype)
        known = number < state.told
        top = len(self._epochs()) - 1
        quota = count_by_rung(state, known, top + 1) // self.eta
        # a group of their own for those without a score, so that they rank with nobody
        rank = rank_in_group(xp.where(known, state.rung, top + 1), state.scores)
        best = rank < quota[xp.clip(state.rung, 0, top)]
        promoted = xp.any(number[:, None] == state.parent[None], axis=1)
        return known & best & has_score(state.scores) & (state.rung < top) & ~promoted

    def _wanted(self, state: Trials) -> jax.Array:
        xp, state = arrays_of(state)
        fresh = xp.sum(state.rung == 0, dtype=jnp.result_type(int))
        ready = xp.sum(self.promotable(state), dtype=jnp.result_type(int))
        return xp.minimum(self.batch, ready + self.n - fresh)

    def _epochs(self) -> list[int]:
        """The epochs of each rung."""
        epochs = [self.min_epochs]
        while epochs[-1] < self.max_epochs:
            epochs.append(min(epochs[-1] * self.eta, self.max_epochs))
        return epochs


def asha(n: int = 27, batch: int = 8, min_epochs: int = 1, max_epochs: int = 27, eta: int = 3) -> ASHA:
    """ASHA: promote at once whoever is among the best 1/η of its rung, else start a fresh run.

        promotable in rung k = best ⌊|rung k|/η⌋ of those scored \\ those already promoted
        ask: promotable, from the highest rung down; then fresh configurations

    Arguments:
        n: fresh configurations in all, drawn at random.
        batch: rows of a batch at most: the members that are trained together.
        min_epochs: r, the epochs of rung 0; rung k is trained until r·ηᵏ epochs in all.
        max_epochs: R, the epochs of the last rung.
        eta: η ≥ 2, a whole number.

    Returns:
        An `ASHA` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs, scores)`, and
        `remaining(state)`, the size of the next batch, 0 at the end. Batches have the columns `epochs` and
        `parent`, and mix rungs. Diverged trials count in their rung and are never promoted.

    Raises:
        ValueError: a number below its least. TypeError: an argument is not a whole number.

    Example:
        >>> from jaxopt_notes.search.spaces.distributions import log_uniform
        >>> strategy, key = asha(9, batch=3, max_epochs=9), jax.random.key(0)
        >>> state = strategy.init(key, {"rate": log_uniform(1e-4, 1e-1)})
        >>> while n := strategy.remaining(state):
        ...     key, own = jax.random.split(key)
        ...     configs, state = strategy.ask(state, own, n)
        ...     state = strategy.tell(state, configs, configs["rate"])
        ...     print(configs["epochs"].tolist())
        [1, 1, 1]
        [3, 1, 1]
        [1, 1, 1]
        [3, 1]
        [3]
        [9]

    Source: Li et al. 2020, algorithm 2 (s = 0). An early promotion may be one that the whole rung would
    not have made: the price of not waiting.

    Elsewhere: Ray Tune's ASHAScheduler and optuna's SuccessiveHalvingPruner decide whether a run that
    reaches a rung stops, and never resume one that was stopped.
    """
    check_count("asha(n)", n, 1)
    check_count("asha(batch)", batch, 1)
    check_count("asha(min_epochs)", min_epochs, 1)
    check_count("asha(max_epochs)", max_epochs, min_epochs, "min_epochs is its least")
    check_count("asha(eta)", eta, 2)
    return ASHA(n, batch, min_epochs, max_epochs, eta)

"""Successive halving: many runs for a few epochs, the best of them for more, the best of those for more.

A search is a sequence of *rungs*, each a number of trials trained up to a number of epochs. A rung is one
batch: its trials continue the runs of the best of the rung before. `hyperband` is several such searches one
after the other, so a plan here is a tuple of brackets, each a tuple of rungs.
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.spaces.space import Configs, Space
from jaxopt_notes.search.strategies.trials import (
    Trials,
    arrays_of,
    ask_trials,
    check_batch,
    count_by_rung,
    has_score,
    no_scores,
    no_trials,
    tell_trials,
)

__all__ = ["SuccessiveHalving", "equal_share_rungs", "geometric_rungs", "successive_halving"]

Rungs = tuple[tuple[int, int], ...]  # (trials, epochs in total)


@record
class SuccessiveHalving:
    """See `successive_halving`."""

    brackets: tuple[Rungs, ...] = static()

    def init(self, key: jax.Array, space: Space) -> Trials:
        return no_trials(space, sum(n for bracket in self.brackets for n, _ in bracket))

    def remaining(self, state: Trials) -> int:
        return int(self._next(state)[2])

    def ask(self, state: Trials, key: jax.Array, n: int) -> tuple[Configs, Trials]:
        xp, state = arrays_of(state, key)
        rung, place, wanted = self._next(state)
        check_batch("successive_halving", n, wanted)
        rungs = [rung_of for bracket in self.brackets for rung_of in bracket]
        epochs = xp.asarray([epochs for _, epochs in rungs])[rung]
        before = xp.where(state.rung == rung - 1, state.scores, xp.asarray(no_scores(1)))
        best = xp.argsort(before, stable=True)[place + xp.arange(n, dtype=place.dtype)]
        parent = xp.where(xp.asarray(self._first())[rung], -1, best)
        return ask_trials(state, key, parent, xp.full((n,), epochs), xp.full((n,), rung))

    def tell(self, state: Trials, configs: Configs, scores: jax.Array) -> Trials:
        return tell_trials(state, scores)

    def _first(self) -> np.ndarray:
        """Which rungs are the first of their bracket."""
        return np.concatenate([np.arange(len(bracket)) == 0 for bracket in self.brackets])

    def _next(self, state: Trials) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The rung that comes next, how many of its trials were asked for, and how many are left."""
        xp, state = arrays_of(state)
        sizes = xp.asarray([n for bracket in self.brackets for n, _ in bracket], jnp.result_type(int))
        known = xp.arange(len(state.rung)) < state.told
        asked, told, alive = (
            count_by_rung(state, chosen, len(sizes))
            for chosen in (xp.ones_like(known), known, has_score(state.scores))
        )
        finished = xp.roll(xp.where(asked == told, alive, 0), 1)  # of the rung before: who may go on
        sizes = xp.where(xp.asarray(self._first()), sizes, xp.minimum(sizes, finished))
        rung = xp.argmax(asked < sizes)
        return rung, asked[rung], xp.maximum(sizes[rung] - asked[rung], 0)


def geometric_rungs(n: int, min_epochs: int, max_epochs: int, eta: int = 3) -> Rungs:
    """Rungs whose epochs grow by η while the number of trials falls by η: nᵢ = ⌊n/ηⁱ⌋, rᵢ = r·ηⁱ.

    The last rung has at most `max_epochs`; it is as near to them as powers of η come.

    Example:
        >>> geometric_rungs(9, 1, 9)
        ((9, 1), (3, 3), (1, 9))
    """
    rungs = []
    power = 1
    while min_epochs * power <= max_epochs and n // power > 0:
        rungs.append((n // power, min_epochs * power))
        power *= eta
    return tuple(rungs)


def equal_share_rungs(n: int, budget: int, eta: int = 2) -> Rungs:
    """Rungs that share a budget of epochs equally, the rule of the first paper.

        rₖ = ⌊B / (|Sₖ|·⌈log_η n⌉)⌋ more epochs for each of Sₖ,   |Sₖ₊₁| = ⌊|Sₖ|/η⌋

    Example:
        >>> equal_share_rungs(8, budget=48)
        ((8, 2), (4, 6), (2, 14))
    """
    count = 1
    while eta**count < n:
        count += 1
    rungs: list[tuple[int, int]] = []
    size, epochs = n, 0
    for _ in range(count):
        more = budget // (size * count)
        if more == 0:
            raise ValueError(
                f"equal_share_rungs(budget) is {budget}, expected at least {size * count}: "
                f"an epoch for each of {size} trials in each of {count} rungs."
            )
        epochs += more
        rungs.append((size, epochs))
        size = max(size // eta, 1)
    return tuple(rungs)


def successive_halving(
    n: int = 27,
    min_epochs: int = 1,
    max_epochs: int = 27,
    eta: int = 3,
    *,
    rungs: Any = None,
) -> SuccessiveHalving:
    """Successive halving: in each rung the best 1/η of the trials go on, to η times as many epochs.

        rung i: ⌊n/ηⁱ⌋ trials, trained until r·ηⁱ epochs in all, the best of rung i − 1

    Arguments:
        n: fresh configurations in the first rung, drawn at random.
        min_epochs: r, the epochs of the first rung.
        max_epochs: the epochs of the last rung, at most.
        eta: η ≥ 2, a whole number.
        rungs: the plan itself in place of the four numbers, pairs (trials, epochs in total):
            `equal_share_rungs(n, budget)` is that of the first paper.

    Returns:
        A `SuccessiveHalving` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state,
        configs, scores)`, and `remaining(state)`, the size of the next batch, 0 at the end. Batches have
        the columns `epochs` and `parent`. A diverged trial never goes on: the rung is then smaller.
        The state is the table of all trials, a pytree of fixed shapes.

    Raises:
        ValueError: a number below its least, `max_epochs` < `min_epochs`, or rungs that grow in trials
            or do not grow in epochs. TypeError: a count that is not a whole number.

    Example:
        >>> from jaxopt_notes.search.spaces.distributions import log_uniform
        >>> strategy, key = successive_halving(9, max_epochs=9), jax.random.key(0)
        >>> state = strategy.init(key, {"rate": log_uniform(1e-4, 1e-1)})
        >>> while n := strategy.remaining(state):
        ...     configs, state = strategy.ask(state, key, n)
        ...     state = strategy.tell(state, configs, configs["rate"])  # the smaller the better
        ...     print(n, configs["epochs"][0], configs["parent"][0] >= 0)
        9 1 False
        3 3 True
        1 9 True

    Source: Jamieson & Talwalkar 2016, algorithm 1; in this form Li et al. 2018 and 2020 (ASHA).

    Elsewhere: scikit-learn's HalvingRandomSearchCV and optuna's SuccessiveHalvingPruner (the
    asynchronous rule) keep a trial's number when it goes on; here every rung is new rows.
    """
    if rungs is None:
        check_count("successive_halving(n)", n, 1)
        check_count("successive_halving(min_epochs)", min_epochs, 1)
        check_count("successive_halving(max_epochs)", max_epochs, min_epochs, "min_epochs is its least")
        check_count("successive_halving(eta)", eta, 2)
        return SuccessiveHalving((geometric_rungs(n, min_epochs, max_epochs, eta),))
    plan = tuple((int(trials), int(epochs)) for trials, epochs in rungs)
    pairs = list(itertools.pairwise(plan))
    if not plan or min(map(min, plan)) < 1 or any(b[0] > a[0] or b[1] <= a[1] for a, b in pairs):
        raise ValueError(
            f"successive_halving(rungs) is {rungs!r}, expected pairs (trials, epochs) of at least 1: trials "
            "never more, epochs always more than in the rung before, as in ((9, 1), (3, 3), (1, 9))."
        )
    return SuccessiveHalving((plan,))

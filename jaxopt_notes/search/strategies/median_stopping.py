"""Median stopping: a run goes on for as long as it is not worse than the median of finished ones.

Runs are looked at after every `interval` epochs. They start in waves that are trained side by side; the
first wave has nothing to be compared with and runs to its end. Nothing is assumed of the curves but
that means over their beginnings can be compared.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.spaces.space import Configs, Space
from jaxopt_notes.search.strategies.trials import (
    Trials,
    ask_trials,
    check_batch,
    has_score,
    no_trials,
    tell_trials,
)

__all__ = ["MedianStopping", "median_rule", "median_stopping"]


@record
class MedianStopping:
    """See `median_stopping`."""

    n: int = static()
    wave: int = static()
    interval: int = static()
    max_epochs: int = static()
    grace: int = static()

    def init(self, key: jax.Array, space: Space) -> Trials:
        return no_trials(space, self.n * len(self._epochs()))

    def remaining(self, state: Trials) -> int:
        return int(self._next(state)[1])

    def ask(self, state: Trials, key: jax.Array, n: int) -> tuple[Configs, Trials]:
        queue, wanted = self._next(state)
        check_batch("median_stopping", n, wanted)
        parent = queue[:n]
        looks = len(self._epochs())
        look = jnp.where(parent < 0, 0, jnp.asarray(state.rung)[parent] + 1)
        return ask_trials(state, key, parent, jnp.asarray(self._epochs())[jnp.minimum(look, looks - 1)], look)

    def tell(self, state: Trials, configs: Configs, scores: jax.Array) -> Trials:
        return tell_trials(state, scores)

    def _next(self, state: Trials) -> tuple[jax.Array, jax.Array]:
        """The trials to be continued, followed by −1 for fresh ones, and how many of them are wanted."""
        number = jnp.arange(len(state.rung), dtype=state.rung.dtype)
        continued = jnp.zeros(len(number), bool).at[state.parent].set(
            True, mode="drop", wrap_negative_indices=False
        )  # fmt: skip
        last = len(self._epochs()) - 1
        finished = (state.rung == last) & has_score(state.scores)
        stopped = median_rule(self.curves(state), state.rung, self.grace, finished)
        alive = (number < state.told) & ~continued & (state.rung < last) & ~stopped
        least = jnp.min(jnp.where(alive, state.rung, last))
        going = alive & (state.rung == least)  # after batches in part: those that are behind come first
        fresh = jnp.sum(state.rung == 0, dtype=number.dtype)
        unfinished = jnp.where(fresh % self.wave == 0, 0, self.wave - fresh % self.wave)
        starting = jnp.where(jnp.any(alive), 0, self.wave)
        new = jnp.minimum(jnp.where(unfinished > 0, unfinished, starting), self.n - fresh)
        going = going & (new == 0)
        queue = jnp.where(going, number, len(number))
        queue = jnp.sort(queue)
        return jnp.where(queue == len(number), -1, queue), jnp.where(new > 0, new, jnp.sum(going))

    def curves(self, state: Trials) -> jax.Array:
        """The scores of the run that each trial belongs to, until that trial [capacity, looks]."""
        looks = len(self._epochs())
        rung, scores, parent = map(jnp.asarray, (state.rung, state.scores, state.parent))
        number = jnp.arange(len(rung), dtype=rung.dtype)
        curves, at = jnp.zeros((len(number), looks), scores.dtype), number
        for _ in range(looks):
            there = at >= 0
            column = jnp.where(there, rung[at], looks)
            curves = curves.at[number, column].set(scores[at], mode="drop", wrap_negative_indices=False)
            at = jnp.where(there, parent[at], -1)
        return curves

    def _epochs(self) -> list[int]:
        """The epochs at each look."""
        whole = list(range(self.interval, self.max_epochs, self.interval))
        return [*whole, self.max_epochs]


def median_rule(curves: jax.Array, at: jax.Array, grace: int, finished: jax.Array) -> jax.Array:
    """Which runs stop: their best score is above the median of the finished ones' mean scores so far.

    Arguments:
        curves: scores, the smaller the better [runs, looks].
        at: the look that each run has reached, from 0; later scores are not looked at [runs].
        grace: looks at which no run is stopped, except for divergence.
        finished: the runs that are compared with [runs].

    Returns:
        A bool for each run [runs]. A run whose latest score is not finite, or the largest number there is,
        stops at once. While there is not a finished run, no other does.

    Example:
        >>> curves = jnp.array([[4.0, 2.0], [8.0, 6.0], [6.0, 0.0], [4.0, 0.0]])
        >>> median_rule(curves, jnp.array([1, 1, 0, 0]), 0, jnp.array([True, True, False, False]))
        Array([False,  True, False, False], dtype=bool)
    """
    looks = curves.shape[1]
    number, most = jnp.arange(looks), jnp.finfo(curves.dtype).max
    good = curves < most  # else it diverged; what stands in for it is finite, for `jax_debug_infs`
    sums = jnp.cumsum(jnp.where(good, curves, most / (2 * looks)), axis=1)
    medians = masked_median(sums / (number + 1).astype(curves.dtype)[None, :], finished)
    best = jnp.min(jnp.where((number[None, :] <= at[:, None]) & good, curves, most), axis=1)
    place = jnp.clip(at, 0, looks - 1)
    diverged = ~jnp.take_along_axis(good, place[:, None], axis=1)[:, 0]
    judged = (at >= grace) & jnp.any(finished)
    return diverged | (judged & (best > medians[place]))


def masked_median(x: jax.Array, rows: jax.Array) -> jax.Array:
    """The median of each column of x [n, m] over some rows [n]; the largest number if there are none."""
    n = jnp.sum(rows)
    ordered = jnp.sort(jnp.where(rows[:, None], x, jnp.finfo(x.dtype).max), axis=0)
    return ordered[jnp.maximum(n - 1, 0) // 2] / 2 + ordered[n // 2] / 2


def median_stopping(
    n: int = 32, max_epochs: int = 20, interval: int = 1, wave: int = 8, grace: int = 0
) -> MedianStopping:
    """Random search that stops a run whose best score is worse than the median of finished runs' means.

        stop after look s if  min_{i≤s} f(i) > median over finished runs of (1/s)·Σ_{i≤s} f(i)

    Arguments:
        n: runs in all, of configurations drawn at random.
        max_epochs: the epochs of a whole run.
        interval: epochs between looks.
        wave: runs that start together; the first wave is never stopped.
        grace: looks in the beginning at which no run is stopped unless it diverged.

    Returns:
        A `MedianStopping` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs,
        scores)`, and `remaining(state)`, the size of the next batch, 0 at the end. Batches have the
        columns `epochs` and `parent`; a batch is what is left of a wave at one look.

    Raises:
        ValueError: a number below its least. TypeError: an argument is not a whole number.

    Example:
        >>> from jaxopt_notes.search.spaces.distributions import uniform
        >>> strategy, key = median_stopping(8, max_epochs=2, wave=4), jax.random.key(0)
        >>> state = strategy.init(key, {"loss": uniform(0.0, 1.0)})
        >>> while n := strategy.remaining(state):
        ...     key, own = jax.random.split(key)
        ...     configs, state = strategy.ask(state, own, n)
        ...     state = strategy.tell(state, configs, configs["loss"])
        ...     print(configs["epochs"].tolist())
        [1, 1, 1, 1]
        [2, 2, 2, 2]
        [1, 1, 1, 1]
        [2]

    Source: Golovin et al. 2017 (Vizier), section 3.2.2.

    Elsewhere: optuna's MedianPruner takes the median of the other runs' scores at that step in place of
    their means until it; Ray Tune's MedianStoppingRule compares with unfinished runs too.
    """
    check_count("median_stopping(n)", n, 1)
    check_count("median_stopping(max_epochs)", max_epochs, 1)
    check_count("median_stopping(interval)", interval, 1)
    check_count("median_stopping(wave)", wave, 1)
    check_count("median_stopping(grace)", grace)
    return MedianStopping(n, wave, interval, max_epochs, grace)

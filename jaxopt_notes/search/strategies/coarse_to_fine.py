"""Coarse to fine: a wide search with short runs, then narrower ones around the best with longer runs.

A stage is a number of fresh configurations, trained up to a number of epochs. The first stage covers the
whole space, each later one a box around the best of the stage before, smaller by the same factor on every
axis. A stage of more than one epoch is two batches: all its runs for one epoch, then those that have not
failed, to the end.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.search.importance import edge_warnings
from jaxopt_notes.search.results import Results
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.spaces.unit_cube import as_configs
from jaxopt_notes.search.strategies.latin_hypercube import latin_hypercube_points
from jaxopt_notes.search.strategies.trials import (
    Trials,
    arrays_of,
    check_batch,
    count_by_rung,
    has_score,
    is_traced,
    no_trials,
    put_rows,
    record_trials,
    tell_trials,
)

__all__ = ["CoarseToFine", "coarse_to_fine"]


class ZoomState(NamedTuple):
    """The trials, and their points of the unit cube [capacity, dimensions]."""

    trials: Trials
    points: Any


@record
class CoarseToFine:
    """See `coarse_to_fine`."""

    shrink: Number
    initial_cost: Number
    abort: Number
    stages: tuple[tuple[int, int], ...] = static()

    def init(self, key: jax.Array, space: Space) -> ZoomState:
        capacity = sum(n for _, n, _, _ in self._batches())
        points = np.zeros((capacity, len(dimensions(space))), jnp.result_type(float))
        return ZoomState(no_trials(space, capacity), points)

    def remaining(self, state: ZoomState) -> int:
        return int(self._next(state.trials)[2])

    def ask(self, state: ZoomState, key: jax.Array, n: int) -> tuple[Configs, ZoomState]:
        xp, trials = arrays_of(state.trials, state.points, key, self)
        batch, place, wanted = self._next(trials)
        check_batch("coarse_to_fine", n, wanted)
        epochs, is_fresh = (xp.asarray([b[i] for b in self._batches()])[batch] for i in (2, 3))
        low, high = self.box(state)
        spread = xp.asarray(latin_hypercube_points(key, n, len(low)))
        spread = low[None, :] + (high - low)[None, :] * spread
        goes_on = self._survives(trials) & (trials.rung == batch - 1)
        parent = xp.argsort(~goes_on, stable=True)[place + xp.arange(n, dtype=place.dtype)]
        points = xp.where(is_fresh, spread, xp.asarray(state.points)[parent])
        row = trials.asked
        configs, trials = record_trials(
            trials,
            as_configs(trials.dimensions, points),
            xp.where(is_fresh, -1, parent),
            xp.full((n,), epochs),
            xp.full((n,), batch),
        )
        return configs, ZoomState(trials, put_rows(state.points, row, points))

    def tell(self, state: ZoomState, configs: Configs, scores: jax.Array) -> ZoomState:
        return state._replace(trials=tell_trials(state.trials, scores))

    def box(self, state: ZoomState) -> tuple[jax.Array, jax.Array]:
        """The ends of what the stage in work searches, in the unit cube, [dimensions] each."""
        xp, trials = arrays_of(state.trials, state.points, self)
        stage = xp.asarray([b[0] for b in self._batches()])[self._next(trials)[0]]
        best, found = self._best(trials, stage)
        shrink = xp.asarray(as_hyperparameter(self.shrink), state.points.dtype)
        width = xp.where(found, shrink ** stage.astype(shrink.dtype), xp.ones_like(shrink))
        low = xp.clip(xp.asarray(state.points)[best] - width / 2, 0, 1 - width)
        return low, low + width

    def warnings(self, state: ZoomState) -> list[str]:
        """A sentence for each hyperparameter whose best values lie at an edge of its whole range."""
        _, trials = arrays_of(state.trials)
        last = np.asarray(len(self.stages))
        best, found = self._best(trials, last)
        if not bool(found):
            return []
        rows = np.flatnonzero(trials.rung == trials.rung[best])
        columns = {name: np.asarray(column)[rows] for name, column in trials.configs.items()}
        return edge_warnings(Results(columns, np.asarray(trials.scores)[rows, None], space=trials.dimensions))

    def _best(self, trials: Trials, before: Any) -> tuple[jax.Array, jax.Array]:
        """The best run to its end of the last stage before that one, and whether there is any."""
        xp: Any = jnp if is_traced(trials, before) else np
        batches = self._batches()
        stage = xp.asarray([b[0] for b in batches])[trials.rung]
        ends = xp.asarray([b[2] == self.stages[b[0]][1] for b in batches])[trials.rung]
        counts = ends & (stage < before) & (trials.rung >= 0) & has_score(trials.scores)
        best = xp.lexsort((trials.scores, -stage, ~counts))[0]
        return best, counts[best]

    def _survives(self, trials: Trials) -> jax.Array:
        xp: Any = jnp if is_traced(trials, self) else np
        abort, initial_cost = (xp.asarray(as_hyperparameter(x)) for x in (self.abort, self.initial_cost))
        return has_score(trials.scores) & ~aborted(
            trials.scores, (abort * initial_cost).astype(trials.scores.dtype)
        )

    def _next(self, trials: Trials) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The batch that comes next, how many of it were asked for, and how many may be asked for now."""
        xp, trials = arrays_of(trials, self)
        batches = self._batches()
        asked = count_by_rung(trials, xp.ones_like(trials.scores, bool), len(batches))
        survivors = xp.roll(count_by_rung(trials, self._survives(trials), len(batches)), 1)
        fresh = np.array([b[3] for b in batches])
        sizes = xp.where(fresh, xp.asarray([b[1] for b in batches]), survivors)
        batch = xp.argmax(asked < sizes)
        earlier = xp.sum(xp.where(xp.arange(len(batches)) < batch, asked, 0))
        ready = xp.asarray(trials.told, int) >= earlier  # a batch needs all scores of those before it
        return batch, asked[batch], xp.where(ready, xp.maximum(sizes[batch] - asked[batch], 0), 0)

    def _batches(self) -> list[tuple[int, int, int, bool]]:
        """Stage, size, epochs and freshness of every batch, if all survive."""
        batches = []
        for stage, (n, epochs) in enumerate(self.stages):
            batches.append((stage, n, 1, True))
            if epochs > 1:
                batches.append((stage, n, epochs, False))
        return batches


def aborted(cost: jax.Array, limit: jax.Array) -> jax.Array:
    """Which runs are given up: cost above the limit, three times the initial cost, or no number.

    Example:
        >>> aborted(np.array([2.0, 7.0, np.nan]), limit=3 * 2.3026).tolist()
        [False, True, True]
    """
    xp: Any = jnp if is_traced(cost, limit) else np
    return ~xp.isfinite(cost) | (cost > limit)


def coarse_to_fine(
    stages: Any = ((32, 1), (16, 4), (8, 16)),
    *,
    shrink: Number = 1 / 3,
    initial_cost: Number = float("inf"),
    abort: Number = 3.0,
) -> CoarseToFine:
    """Coarse-to-fine search: stages of fewer and longer runs in smaller and smaller boxes.

        box of stage s = [c − w/2, c + w/2],   w = shrinkˢ,   c the best point of stage s − 1
        a run is given up after its first epoch if cost > abort·initial_cost

    Arguments:
        stages: pairs (configurations, epochs), the epochs not falling. The first stage covers the whole
            space, each stage as a Latin hypercube.
        shrink: what is left of the width of every axis from stage to stage, in (0, 1]; of the range of a
            uniform hyperparameter, of the decades of a logarithmic one. A box is moved to lie inside
            the space. Choices are zoomed in the order in which they are listed.
        initial_cost: the cost before training: log C for C classes at cross-entropy. At ∞ only diverged
            runs are given up.
        abort: how many times the initial cost is a failure.

    Returns:
        A `CoarseToFine` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs,
        scores)`, and `remaining(state)`, the size of the next batch, 0 at the end or while scores are
        missing. Batches have the columns `epochs` and `parent`. `box(state)` is what is searched now, and
        `warnings(state)` says at which edges of the space the best configurations lie.

    Raises:
        ValueError: no stage, falling epochs, a number outside its interval. TypeError: a count that is not a
            whole number.

    Example:
        >>> from jaxopt_notes.search import uniform
        >>> strategy, key = coarse_to_fine(((8, 1), (4, 3))), jax.random.key(0)
        >>> state = strategy.init(key, {"rate": uniform(0.0, 1.0)})
        >>> while n := strategy.remaining(state):
        ...     key, own = jax.random.split(key)
        ...     configs, state = strategy.ask(state, own, n)
        ...     state = strategy.tell(state, configs, configs["rate"])  # the smaller the better
        ...     print(n, configs["epochs"][0], f"{configs['rate'].max():.1f}")
        8 1 1.0
        4 1 0.3
        4 3 0.3
        >>> print(*strategy.warnings(state))
        rate: the best values are at the lower end, 0, of its range: search beyond it.

    Source: the lectures CS231n, "Hyperparameter optimization".

    Elsewhere: none of optuna, Ray Tune and scikit-learn zooms; there it is done by hand between studies.
    """
    try:
        stages = tuple((n, epochs) for n, epochs in stages)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"coarse_to_fine(stages) is {stages!r}, expected pairs (configurations, epochs): "
            "((16, 1), (8, 5), (4, 20))."
        ) from error
    if not stages:
        raise ValueError("coarse_to_fine(stages) is empty, expected pairs (configurations, epochs).")
    for n, epochs in stages:
        check_count("coarse_to_fine(stages): configurations", n, 1)
        check_count("coarse_to_fine(stages): epochs", epochs, 1)
    if [epochs for _, epochs in stages] != sorted(epochs for _, epochs in stages):
        raise ValueError(f"coarse_to_fine(stages) is {stages}, expected epochs that do not fall.")
    return CoarseToFine(
        check_number("coarse_to_fine(shrink)", shrink, "(0, 1]"),
        check_number("coarse_to_fine(initial_cost)", initial_cost, "(0, inf]"),
        check_number("coarse_to_fine(abort)", abort, "(0, inf]"),
        stages,
    )

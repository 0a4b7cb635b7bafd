"""Who is better than whom among the configurations of a search.

Runs that diverged are counted and left out of means. Feasible configurations come first, then those without
diverged runs; with one monitor the mean score decides, with several first the front and on it the first
monitor. So the best is, of the compromises worth having, the one with the best score.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.search.names import hyperparameters, own_names, reserved_columns
from jaxopt_notes.search.pareto import hypervolume, non_dominated_fronts
from jaxopt_notes.search.rule import Bounds, sign, violations_of


class Ranking:
    """The order of a `Results`, which has all that stands here without a value."""

    columns: Mapping[str, np.ndarray]
    scores: np.ndarray
    monitor: str
    mode: str
    folds: int
    sizes: np.ndarray | None
    measured: Mapping[str, np.ndarray]
    others: Mapping[str, str]
    constraints: Bounds

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def finite(self) -> np.ndarray:
        """Which seeds did not diverge [n, seeds]."""
        return np.isfinite(self.scores)

    @property
    def diverged(self) -> int:
        """How many members diverged."""
        return int((~self.finite).sum())

    @property
    def score_mean(self) -> np.ndarray:
        """The mean over the seeds that did not diverge [n], folds by size; NaN where all did."""
        return self._mean(self.scores)

    @property
    def score_std(self) -> np.ndarray:
        """The standard deviation over the seeds that did not diverge (n − 1); 0 for fewer than two [n]."""
        count = self.finite.sum(axis=1)
        errors = np.where(self.finite, self.scores, 0.0) - np.nan_to_num(self.score_mean)[:, None]
        squares = np.where(self.finite, errors**2, 0.0).sum(axis=1)
        return np.sqrt(squares / np.maximum(count - 1, 1))

    @property
    def score_error(self) -> np.ndarray:
        """The standard error of the mean: over folds, each the mean of its seeds, or over seeds [n].

        NaN where there is only one, or where some diverged.
        """
        each = self.scores.reshape(len(self), -1, self.folds)
        each = each.mean(axis=1) if self.folds > 1 else each[:, :, 0]
        k = each.shape[1]
        return each.std(axis=1, ddof=1) / np.sqrt(k) if k > 1 else np.full(len(self), np.nan)

    @property
    def monitors(self) -> dict[str, str]:
        """All objectives, and which way each is good: name → "min" or "max"."""
        return {self.monitor: self.mode, **self.others}

    @property
    def means(self) -> dict[str, np.ndarray]:
        """The means of all that was measured [n]: of every monitor, and of what has bounds."""
        return {
            name: self._mean(values) for name, values in {self.monitor: self.scores, **self.measured}.items()
        }

    @property
    def violations(self) -> np.ndarray:
        """How far each configuration is from keeping all bounds, relative to them [n]; 0 where it does."""
        return violations_of(self.means, self.constraints, len(self))

    @property
    def feasible(self) -> np.ndarray:
        """Which configurations keep all bounds [n]."""
        return self.violations <= 0

    @property
    def fronts(self) -> np.ndarray:
        """The number of the front that each configuration is on [n]; 0 is the Pareto front."""
        return non_dominated_fronts(self.costs, self.violations)

    @property
    def order(self) -> np.ndarray:
        """The configurations from the best to the worst [n]."""
        keys = [np.arange(len(self)), sign(self.mode) * self.score_mean]
        keys += [self.fronts] if self.others else []
        return np.lexsort((*keys, (~self.finite).sum(axis=1), self.violations))

    def pareto_front(self) -> list[int]:
        """The trials that none is better than in all monitors, feasible ones, by the first monitor.

        With one monitor it is the best trial, and those that are equal to it.
        """
        worth = self.feasible & self.finite.all(axis=1) & (self.fronts == 0)
        return [i for i in self.ranked() if worth[i]]

    def hypervolume(self, reference: Sequence[float] | None = None) -> float:
        """The volume of what the Pareto front is better than, up to a reference point: large is good.

        Arguments:
            reference: a value of each monitor, the worst that would be accepted; by default the worst that
                a feasible configuration has, so that only searches with the same one can be compared.
        """
        signs = np.array([sign(mode) for mode in self.monitors.values()])
        costs = self.costs[self.feasible & self.finite.all(axis=1)]
        if not len(costs):
            return 0.0
        return hypervolume(costs, costs.max(axis=0) if reference is None else signs * np.asarray(reference))

    def ranked(self) -> list[int]:
        """`order` with each run once: trials of one line with equal hyperparameters are one run."""
        if "parent" not in reserved_columns(self):
            return self.order.tolist()
        columns, seen, ranked = list(hyperparameters(self).values()), set(), []
        for i in self.order.tolist():
            run = (self.lineage(i)[0], *(str(column[i]) for column in columns))
            if run not in seen:
                seen.add(run)
                ranked.append(i)
        return ranked

    def lineage(self, trial: int) -> list[int]:
        """The trials whose runs a trial continues, from the first one to itself."""
        line, parents = [self.checked(trial)], reserved_columns(self).get("parent")
        while parents is not None and (parent := int(parents[line[0]])) >= 0:
            line.insert(0, parent)
        return line

    def checked(self, trial: Any) -> int:
        """The number of a trial, if there is one of that number.

        Raises:
            ValueError: there is none.
        """
        if isinstance(trial, bool) or not isinstance(trial, int | np.integer) or not 0 <= trial < len(self):
            raise ValueError(f"the trial is {trial!r}, expected one of 0 … {len(self) - 1}.")
        return int(trial)

    def score_name(self) -> str:
        """The monitor's name, unless a hyperparameter has it."""
        return self.score_names()[self.monitor]

    def score_names(self) -> dict[str, str]:
        """What all that was measured is called beside the hyperparameters."""
        return own_names(self.columns, "score", dict.fromkeys((self.monitor, *self.measured)))

    @property
    def costs(self) -> np.ndarray:
        """All monitors [n, monitors], minimized; NaN where a run diverged."""
        means, whole = self.means, self.finite.all(axis=1)
        costs = [np.where(whole, sign(mode) * means[name], np.nan) for name, mode in self.monitors.items()]
        return np.stack(costs, axis=1)

    def _mean(self, values: ArrayLike) -> np.ndarray:
        """Over the runs that did not diverge."""
        weights = self.finite * (1.0 if self.sizes is None else self.sizes)
        count, total = weights.sum(axis=1), (weights * np.where(self.finite, values, 0.0)).sum(axis=1)
        return np.where(count > 0, total / np.where(count > 0, count, 1), np.nan)

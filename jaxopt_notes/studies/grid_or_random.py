"""Nine trials of two hyperparameters of which one matters: a grid tries three values of it, chance nine."""

import jax
import numpy as np

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["GridOrRandom", "grid_or_random"]


@record
class GridOrRandom(StudyResult):
    """See `grid_or_random`."""

    dimensions: Array  # [dimensions]: 1, 2, …
    searches: tuple[str, ...] = static()
    best: Array  # [searches, dimensions, seeds]: the best score, of at most 1
    values: Array  # [searches, dimensions]: different values tried of the one that matters

    def rows(self) -> Rows:
        grid, chance = median(self.best)
        return rows_of(
            dimensions=self.dimensions, values_of_grid=self.values[0], values_of_random=self.values[1],
            best_of_grid=grid, best_of_random=chance,
            random_is_better=np.mean(self.best[1] > self.best[0], axis=-1),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import line_style
        from jaxopt_notes.plots.panels import panels

        drawn, (axis,) = panels(1, width=4.8)
        for i, (name, best) in enumerate(zip(self.searches, self.best, strict=True)):
            low, middle, high = np.quantile(best, [0.25, 0.5, 0.75], axis=-1)
            axis.plot(self.dimensions, middle, marker="o", label=name, **line_style(i))
            axis.fill_between(self.dimensions, low, high, alpha=0.18, color=line_style(i)["color"], lw=0)
        axis.set(xlabel="hyperparameters, of which one matters", ylabel="best score", xticks=self.dimensions)
        axis.legend(frameon=False)
        return drawn


def grid_or_random(
    key: jax.Array, *, seeds: int = 2000, per_axis: int = 3, dimensions: int = 4, width: float = 0.1
) -> GridOrRandom:
    """The best of equally many trials on a grid and at random, where one hyperparameter matters.

        score = exp(−(h₁ − h*)²/(2·width²)),  h* anywhere in [0, 1]

    Arguments:
        key: a typed random key.
        seeds: places of the optimum, and draws.
        per_axis: values of a grid along each axis; it has per_axis**d points in d dimensions.
        dimensions: d is tried from 1 to this.
        width: of the peak.

    Returns:
        A `GridOrRandom`.

    Raises:
        ValueError: a number below 1. TypeError: an argument is not a whole number.

    Source: Bergstra & Bengio 2012, figure 1.
    """
    for name, number in {"seeds": seeds, "per_axis": per_axis, "dimensions": dimensions}.items():
        check_count(f"grid_or_random({name})", number, 1)
    of_optimum, of_trials = jax.random.split(key)
    optimum = np.asarray(jax.random.uniform(of_optimum, (seeds, 1)))
    draws = np.asarray(jax.random.uniform(of_trials, (seeds, per_axis**dimensions)))
    axis = (np.arange(per_axis) + 0.5) / per_axis  # the middle of equal parts, so that none is far from all
    best, values = [], []
    for d in range(1, dimensions + 1):
        trials = (np.broadcast_to(axis, (seeds, per_axis)), draws[:, : per_axis**d])
        scores = [np.exp(-((tried - optimum) ** 2) / (2 * width**2)).max(axis=1) for tried in trials]
        best.append(scores)
        values.append([per_axis, per_axis**d])
    numbers = np.arange(1, dimensions + 1)
    return GridOrRandom(numbers, ("grid", "random"), np.stack(best, axis=1), np.array(values).T)

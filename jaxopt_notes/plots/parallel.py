"""All hyperparameters of a search side by side, a line for each configuration."""

from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import ORANGE, figure
from jaxopt_notes.plots.sweep import logarithmic, positions
from jaxopt_notes.search.names import hyperparameters

COLORMAP = "viridis"
SHADE = {"fc": "white", "ec": "none", "alpha": 0.7, "pad": 0.6}  # behind the marks of an axis


def plot_parallel(results: Any) -> Any:
    """Parallel coordinates: an axis for each hyperparameter and one for the score, a line a configuration.

    Arguments:
        results: a `Results`. Axes are ordered by importance, the most important beside the score on the
            right (of ten trials and more); colours go by rank, the best is drawn last, in orange. Trials that
            diverged are thin and grey, and end before the score.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing. ValueError: nothing was searched.

    Source: Inselberg 1985.
    """
    columns = {name: np.asarray(column) for name, column in hyperparameters(results).items()}
    if not columns:
        raise ValueError("plot_parallel(results) has no hyperparameter, expected at least one.")
    if len(results) >= 10:
        columns = {name: columns[name] for name in reversed(results.importance())}
    mean = np.asarray(results.score_mean, float)
    fine = np.isfinite(mean)
    heights, ticks = zip(
        *(_axis(column, name in logarithmic(results, columns)) for name, column in columns.items()),
        strict=True,
    )
    low, high = (np.min(mean[fine]), np.max(mean[fine])) if fine.any() else (0.0, 1.0)
    place = (mean - low) / (high - low) if high > low else np.full(len(mean), 0.5)
    ticks = (*ticks, _numbers(np.linspace(low, high, 5), np.linspace(0, 1, 5)))
    lines = np.stack([*heights, place], axis=1)

    drawn = figure(max(4.5, 1.5 * lines.shape[1] + 1), 3.8)
    axis = drawn.subplots()
    worst_first = results.order[::-1]
    shades = _colors(len(mean))
    for i in worst_first[~fine[worst_first]]:
        axis.plot(lines[i, :-1], lw=0.5, alpha=0.5, color="#999999")
    good = worst_first[fine[worst_first]]
    for rank, i in enumerate(good):
        best = rank == len(good) - 1
        color = ORANGE if best else shades[rank]
        axis.plot(lines[i], lw=2.4 if best else 0.9, alpha=1 if best else 0.6, color=color,
                  label="best" if best else None)  # fmt: skip
    for at, marks in enumerate(ticks):
        axis.axvline(at, color="#555555", lw=0.8)
        for height, text in marks:
            axis.annotate(text, (at, height), (3, 0), textcoords="offset points", va="center",
                          fontsize="x-small", bbox=SHADE)  # fmt: skip
    axis.set_xticks(range(lines.shape[1]), [*columns, results.monitor])
    axis.set_yticks([])
    axis.set_ylim(-0.04, 1.04)
    axis.spines[["top", "right", "left"]].set_visible(False)
    if fine.any():
        drawn.legend(loc="outside upper right", frameon=False, fontsize="small")
    return drawn


def _axis(column: np.ndarray, log: bool) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights in [0, 1] of a column's values, and where its marks stand."""
    values, names = positions(column)
    if names is not None:
        spread = max(len(names) - 1, 1)
        return values / spread, [(i / spread, str(name)) for i, name in enumerate(names)]
    scaled = np.log(values) if log else values
    low, high = scaled.min(), scaled.max()
    marks = np.linspace(low, high, 5)
    heights = (scaled - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return heights, _numbers(np.exp(marks) if log else marks, np.linspace(0, 1, 5))


def _numbers(values: Any, heights: Any) -> list[tuple[float, str]]:
    shown: dict[str, float] = {}
    for value, height in zip(values, heights, strict=True):
        shown.setdefault(f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}", float(height))
    return [(height, text) for text, height in shown.items()]


def _colors(n: int) -> np.ndarray:
    from matplotlib import colormaps

    return colormaps[COLORMAP](np.linspace(0.05, 0.9, max(n, 1)))

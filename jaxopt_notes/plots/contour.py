"""The score over two hyperparameters."""

from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import ORANGE, figure, label_axes
from jaxopt_notes.plots.sweep import logarithmic, positions
from jaxopt_notes.search.names import hyperparameters


def plot_contour(results: Any, x: str | None = None, y: str | None = None) -> Any:
    """Filled contours of the mean score, linear between trials, which are dots; the best one is a star.

    Arguments:
        results: a `Results`. Trials that diverged are crosses.
        x, y: hyperparameters; by default the two that matter most.

    Returns:
        A matplotlib Figure. Levels are quantiles of the scores: a few terrible trials flatten nothing.
        Fewer than three trials, or trials on one line, are dots without contours.

    Raises:
        ValueError: fewer than two hyperparameters, or an unknown one. ImportError: matplotlib is missing.

    Source: the lectures CS231n, "Hyperparameter optimization".

    Elsewhere: optuna's plot_contour interpolates likewise, with even levels.
    """
    columns = {name: np.asarray(column) for name, column in hyperparameters(results).items()}
    if len(columns) < 2:
        raise ValueError(f"plot_contour(results) has {list(columns)}, expected two hyperparameters at least.")
    named = [*results.importance(), *columns]
    chosen = [name for name in (x, y) if name is not None]
    chosen += [name for name in named if name not in chosen][: 2 - len(chosen)] if len(chosen) < 2 else []
    if x is None and y is not None:
        chosen.reverse()
    for name in chosen:
        if name not in columns:
            raise ValueError(
                f"plot_contour: {name!r} is no hyperparameter, expected one of {', '.join(columns)}."
            )
    mean = np.asarray(results.score_mean, float)
    fine = np.isfinite(mean)
    logs = logarithmic(results, columns)
    (across, x_names), (up, y_names) = (positions(columns[name]) for name in chosen)
    plane = [np.log(v) if name in logs else v for v, name in zip((across, up), chosen, strict=True)]

    drawn = figure(5.4, 4.2)
    axis = drawn.subplots()
    dots = axis.scatter(across[fine], up[fine], c=mean[fine], s=14, cmap="viridis_r" if results.mode == "min"
                        else "viridis", edgecolors="white", linewidths=0.5, zorder=3)  # fmt: skip
    _fill(axis, (across, up), plane, mean, fine, dots.cmap)
    if (~fine).any():
        axis.plot(across[~fine], up[~fine], "x", ms=5, color="#777777", label="diverged", zorder=3)
    if fine.any():
        best = results.order[0]
        axis.plot(across[best], up[best], "*", ms=15, color=ORANGE, mec="white", label="best", zorder=4)
    for name, names, scale, ticks in (
        (chosen[0], x_names, axis.set_xscale, axis.set_xticks),
        (chosen[1], y_names, axis.set_yscale, axis.set_yticks),
    ):  # fmt: skip
        if names is not None:
            ticks(range(len(names)), names)
        elif name in logs:
            scale("log")
    label_axes(axis, *chosen)
    drawn.colorbar(dots, ax=axis, label=results.monitor)
    drawn.legend(loc="outside upper right", ncols=2, frameon=False, fontsize="small")
    return drawn


def _fill(axis: Any, places: tuple, plane: list, mean: np.ndarray, fine: np.ndarray, colors: Any) -> None:
    """Contours between trials, triangulated where distances mean something: in logarithms."""
    from matplotlib.tri import Triangulation

    points = np.stack([(p - p.min()) / (np.ptp(p) or 1.0) for p in plane])[:, fine]
    if points.shape[1] < 3 or np.linalg.matrix_rank(points[:, 1:] - points[:, :1], tol=1e-6) < 2:
        return
    triangles = Triangulation(*points).triangles
    levels = np.unique(np.quantile(mean[fine], np.linspace(0, 1, 12)))
    if len(levels) > 1:
        across, up = (place[fine] for place in places)
        axis.tricontourf(Triangulation(across, up, triangles), mean[fine], levels=levels, cmap=colors,
                         alpha=0.75, norm=_by_rank(levels, colors))  # fmt: skip


def _by_rank(levels: np.ndarray, colors: Any) -> Any:
    from matplotlib.colors import BoundaryNorm

    return BoundaryNorm(levels, colors.N)

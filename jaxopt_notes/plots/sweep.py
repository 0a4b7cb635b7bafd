"""The score of a sweep against each of its hyperparameters."""

from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import BLUE, GREY, ORANGE, figure, logarithmic_along
from jaxopt_notes.search.importance import in_order
from jaxopt_notes.search.spaces.distributions import LogUniform
from jaxopt_notes.search.spaces.space import dimensions


def plot_sweep(results: Any, by_importance: bool = False) -> Any:
    """One panel a hyperparameter: every configuration's mean score over seeds, the best one marked.

    Arguments:
        results: a `Results`; hyperparameters that were drawn log-uniformly have a logarithmic axis.
            Bars are standard deviations over seeds. Of eight or more configurations the worst fifth is
            off the scale, as triangles at the edge; diverged ones are crosses there.
        by_importance: the panels in the order of importance, the most important first.

    Returns:
        A matplotlib Figure; `figure.savefig(path)` writes it, a notebook shows it.

    Raises:
        ImportError: matplotlib is missing.

    Source: the lectures CS231n, "Hyperparameter optimization": see whether the range was wide enough.
    """
    columns = {name: np.asarray(values) for name, values in results.columns.items()}
    if by_importance:
        first = list(results.importance())
        columns = {name: columns[name] for name in [*first, *(name for name in columns if name not in first)]}
    mean = np.asarray(results.score_mean, float)
    spread = np.asarray(results.score_std, float)
    diverged = ~np.isfinite(mean)
    shown = _shown(mean, results.mode)
    outside = ~diverged & ~shown
    best = np.arange(len(mean)) == results.order[0]
    across = min(3, max(1, len(columns)))
    down = max(1, -(-len(columns) // across))
    drawn = figure(3.6 * across, 2.8 * down + 0.3)
    axes = drawn.subplots(down, across, squeeze=False, sharey=True)
    for axis in axes.flat[len(columns) :]:
        axis.set_visible(False)

    edge, arrow = (0.03, "v") if results.mode == "max" else (0.97, "^")
    logs = logarithmic(results, columns)
    for axis, (name, values) in zip(axes.flat, columns.items(), strict=False):
        x, labels = positions(values)
        axis.errorbar(x[shown], mean[shown], yerr=spread[shown], fmt="o", ms=4, lw=0.8, alpha=0.6, color=BLUE)
        for which, marker, color, label in (
            (outside, arrow, BLUE, "off the scale"),
            (diverged, "x", GREY, "diverged"),
        ):
            if which.any():  # x in data, y as a fraction of the panel
                place = axis.get_xaxis_transform()
                height = np.full(which.sum(), edge)
                axis.plot(
                    x[which], height, marker, ms=5, alpha=0.6, color=color, label=label, transform=place
                )
        if not diverged.all():
            axis.plot(x[best], mean[best], "*", ms=14, color=ORANGE, label="best")
        if labels is not None:
            axis.set_xticks(range(len(labels)), labels)
            axis.margins(x=0.2)
        elif name in logs:
            logarithmic_along(axis)
        axis.set_xlabel(name)
        axis.grid(alpha=0.25)
    for row in axes:
        row[0].set_ylabel(results.monitor)
    if outside.any():
        low, high = np.min((mean - spread)[shown]), np.max((mean + spread)[shown])
        axes[0, 0].set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    handles, names = axes[0, 0].get_legend_handles_labels()
    if handles:  # above the panels, where a star is not taken for data
        drawn.legend(
            handles,
            names,
            loc="outside upper right",
            ncols=3,
            markerscale=0.6,
            frameon=False,
            fontsize="small",
        )
    return drawn


def positions(values: np.ndarray) -> tuple[np.ndarray, list | None]:
    """Numbers as they are; other values (static choices, NaN among numbers) as 0, 1, … with their names."""
    if values.dtype.kind in "iuf" and np.isfinite(values).all():
        return values.astype(float), None
    return in_order(values)


def logarithmic(results: Any, columns: dict[str, np.ndarray]) -> set[str]:
    """The hyperparameters drawn log-uniformly; without a space, those that span more than a decade."""
    if results.space is not None:
        return {name for name, axis in dimensions(results.space).items() if isinstance(axis, LogUniform)}
    numbers = {name: x for name, x in columns.items() if x.dtype.kind in "iuf" and np.isfinite(x).all()}
    return {name for name, x in numbers.items() if x.min() > 0 and x.max() > 20 * x.min()}


def _shown(mean: np.ndarray, mode: str) -> np.ndarray:
    """The better four fifths of those that did not diverge: a few bad ones must not flatten the rest."""
    fine = np.isfinite(mean)
    if fine.sum() < 8:
        return fine
    if mode == "max":
        return fine & (mean >= np.quantile(mean[fine], 0.2))
    return fine & (mean <= np.quantile(mean[fine], 0.8))

"""The score of a sweep against each of its hyperparameters."""

from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import figure
from jaxopt_notes.search import dimensions
from jaxopt_notes.search.distributions import LogUniform


def plot_sweep(results: Any) -> Any:
    """One panel a hyperparameter: every configuration's mean score over seeds, the best one marked.

    Arguments:
        results: a `Results`; hyperparameters that were drawn log-uniformly have a logarithmic axis.
            Diverged configurations stand as crosses at the worst edge.

    Returns:
        A matplotlib Figure; `figure.savefig(path)` writes it, a notebook shows it.

    Raises:
        ImportError: matplotlib is missing.

    Source: rows S1-53, S1-54 of the notes: see whether the range was wide enough.
    """
    columns = {name: np.asarray(values) for name, values in results.columns.items()}
    mean = np.asarray(results.score_mean, float)
    spread = np.asarray(results.score_std, float)
    fine = np.isfinite(mean)
    best = int(results.order[0])
    across = min(3, max(1, len(columns)))
    down = max(1, -(-len(columns) // across))
    drawn = figure(3.6 * across, 2.8 * down)
    axes = drawn.subplots(down, across, squeeze=False, sharey=True)
    for axis in axes.flat[len(columns) :]:
        axis.set_visible(False)

    logarithmic = _logarithmic(results, columns)
    for axis, (name, values) in zip(axes.flat, columns.items(), strict=False):
        x, labels = _positions(values)
        axis.errorbar(
            x[fine], mean[fine], yerr=spread[fine], fmt="o", ms=4, lw=0.8, alpha=0.6, color="#4063d8"
        )
        if not fine.all() and fine.any():
            edge = mean[fine].min() if results.mode == "max" else mean[fine].max()
            axis.plot(x[~fine], np.full((~fine).sum(), edge), "x", color="#999999", label="diverged")
        if fine.any():
            axis.plot(x[best], mean[best], "*", ms=14, color="#d83933", label="best")
        if labels is not None:
            axis.set_xticks(range(len(labels)), labels)
        elif name in logarithmic:
            axis.set_xscale("log")
        axis.set_xlabel(name)
        axis.grid(alpha=0.25)
    for row in axes:
        row[0].set_ylabel(results.monitor)
    _zoom(axes[0, 0], mean[fine], results.mode)
    if fine.any():
        axes[0, 0].legend(frameon=False, fontsize="small")
    return drawn


def _positions(values: np.ndarray) -> tuple[np.ndarray, list | None]:
    """Numbers as they are; other values (static choices) as 0, 1, … with their names."""
    if values.dtype.kind in "iuf":
        return values.astype(float), None
    names = sorted({str(value) for value in values})
    return np.array([names.index(str(value)) for value in values], float), names


def _logarithmic(results: Any, columns: dict[str, np.ndarray]) -> set[str]:
    """The hyperparameters drawn log-uniformly; without a space, those that span more than a decade."""
    if results.space is not None:
        return {name for name, axis in dimensions(results.space).items() if isinstance(axis, LogUniform)}
    numbers = {name: x for name, x in columns.items() if x.dtype.kind in "iuf"}
    return {name for name, x in numbers.items() if x.min() > 0 and x.max() > 20 * x.min()}


def _zoom(axis: Any, scores: np.ndarray, mode: str) -> None:
    """Show the better three quarters in full: a few bad configurations must not flatten the rest."""
    if len(scores) < 8:
        return
    low, high = np.quantile(scores, [0.2, 1.0] if mode == "max" else [0.0, 0.8])
    margin = 0.08 * (high - low) + 1e-9
    axis.set_ylim(low - margin, high + margin)

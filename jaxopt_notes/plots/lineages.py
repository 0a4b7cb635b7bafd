"""Runs that go on, or go on as others: the rungs of halving, and the lineages of a population."""

from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import GREY, ORANGE, count_along, figure, label_axes
from jaxopt_notes.plots.sweep import logarithmic, positions
from jaxopt_notes.search.names import hyperparameters, reserved_columns


def plot_rungs(results: Any) -> Any:
    """The rungs of successive halving: each run's score at the ends of its rungs, those that went on joined.

    Arguments:
        results: a `Results` of a strategy that continues runs: `successive_halving`, `hyperband`, `asha`.

    Returns:
        A matplotlib Figure. The line of the winner is orange; a run ends where it was stopped, and one that
        diverged with a cross. Beside each rung stands how many runs reached it.

    Raises:
        ValueError: no run goes on. ImportError: matplotlib is missing.

    Source: Jamieson & Talwalkar 2016; Li et al. 2018.
    """
    epochs, parents = _continued("plot_rungs", results)
    mean, fine = _scores(results)
    drawn = figure(6.0, 3.8)
    axis = drawn.subplots()
    for child in np.flatnonzero(parents >= 0):
        ends = [parents[child], child]
        if fine[ends].all():
            axis.plot(epochs[ends], mean[ends], lw=0.8, alpha=0.5, color=GREY, zorder=1)
    axis.plot(epochs[fine], mean[fine], "o", ms=4, alpha=0.7, color="#0072b2", label="run")
    _crosses(axis, epochs[~fine], results.mode)
    if fine.any():
        line = results.lineage(results.order[0])
        axis.plot(epochs[line], mean[line], "-o", ms=5, lw=2, color=ORANGE, label="winner", zorder=3)
    rungs, counts = np.unique(epochs, return_counts=True)
    if rungs[0] > 0 and rungs[-1] > 4 * rungs[0]:
        axis.set_xscale("log")
    axis.set_xticks(rungs, [f"{rung}\n{count} runs" for rung, count in zip(rungs, counts, strict=True)])
    axis.minorticks_off()
    label_axes(axis, "epochs", results.monitor)
    _frame(axis, mean[fine], results.mode)
    drawn.legend(loc="outside upper right", ncols=3, frameon=False, fontsize="small")
    return drawn


def plot_lineages(results: Any) -> Any:
    """The lineages of population-based training: the score and every hyperparameter over epochs.

    Arguments:
        results: a `Results` of a strategy that continues runs, as `population_based_training`.

    Returns:
        A matplotlib Figure. A line leads from each run to those that went on from it, so it forks where a
        good member was copied, and ends where a bad one was given up. The line of the winner is orange.

    Raises:
        ValueError: no run goes on. ImportError: matplotlib is missing.

    Source: Jaderberg et al. 2017, figures 2 and 5.
    """
    epochs, parents = _continued("plot_lineages", results)
    mean, fine = _scores(results)
    columns = {name: np.asarray(column) for name, column in hyperparameters(results).items()}
    logs = logarithmic(results, columns)
    panels = {results.monitor: (mean, None), **{name: positions(column) for name, column in columns.items()}}
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    drawn = figure(3.6 * across, 2.8 * down)
    axes = drawn.subplots(down, across, squeeze=False)
    winner = results.lineage(results.order[0])
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (name, (heights, names)) in zip(axes.flat, panels.items(), strict=False):
        drawable = np.isfinite(heights)
        for child in np.flatnonzero(parents >= 0):
            ends = [parents[child], child]
            if drawable[ends].all():
                axis.plot(epochs[ends], heights[ends], lw=0.7, alpha=0.5, color=GREY)
        axis.plot(epochs[drawable], heights[drawable], "o", ms=2.5, alpha=0.6, color="#0072b2")
        axis.plot(epochs[winner], heights[winner], "-o", ms=4, lw=2, color=ORANGE)
        if names is not None:
            axis.set_yticks(range(len(names)), names)
        elif name in logs:
            axis.set_yscale("log")
        label_axes(axis, "epochs", name)
        count_along(axis)
        if name == results.monitor:
            _frame(axis, mean[fine], results.mode)
    return drawn


def _continued(where: str, results: Any) -> tuple[np.ndarray, np.ndarray]:
    """The epochs of each trial, and whose run it continues (−1: nobody's)."""
    reserved = reserved_columns(results)
    parents = np.asarray(reserved.get("parent", np.full(len(results), -1)), int)
    if "epochs" not in reserved or not (parents >= 0).any():
        raise ValueError(
            f"{where}(results): no run of this search goes on from another, expected results of "
            "successive_halving, hyperband, asha or population_based_training."
        )
    return np.asarray(reserved["epochs"], int), parents


def _scores(results: Any) -> tuple[np.ndarray, np.ndarray]:
    mean = np.asarray(results.score_mean, float)
    return mean, np.isfinite(mean)


def _crosses(axis: Any, epochs: np.ndarray, mode: str) -> None:
    if len(epochs):
        edge = np.full(len(epochs), 0.03 if mode == "max" else 0.97)
        place = axis.get_xaxis_transform()
        axis.plot(epochs, edge, "x", ms=5, color=GREY, label="diverged", transform=place)


def _frame(axis: Any, mean: np.ndarray, mode: str) -> None:
    """The better nine tenths fill the panel: a few runs that went wrong do not flatten the others."""
    if len(mean) < 10:
        return
    low, high = np.quantile(mean, [0.1, 1.0] if mode == "max" else [0.0, 0.9])
    if high > low:
        axis.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))

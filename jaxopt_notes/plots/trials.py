"""The scores of a search in the order of its trials, with the best so far."""

from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import BLUE, GREY, ORANGE, count_along, figure


def plot_trials(results: Any) -> Any:
    """Every trial's mean score by its number, and the best that was known after each.

    Arguments:
        results: a `Results`. Trials that diverged are crosses at the edge.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing.

    Source: Bergstra & Bengio 2012, figure 5 (the best of so many trials).
    """
    mean = np.asarray(results.score_mean, float)
    trial, fine = np.arange(len(mean)), np.isfinite(mean)
    lost = -np.inf if results.mode == "max" else np.inf
    best = np.maximum if results.mode == "max" else np.minimum
    so_far = best.accumulate(np.where(fine, mean, lost))
    known = np.isfinite(so_far)
    drawn = figure(6.0, 3.2)
    axis = drawn.subplots()
    axis.plot(trial[fine], mean[fine], "o", ms=4, alpha=0.6, color=BLUE, label="trial")
    axis.step(trial[known], so_far[known], where="post", color=ORANGE, label="best so far")
    if not fine.all():
        edge = np.full((~fine).sum(), 0.03 if results.mode == "max" else 0.97)
        place = axis.get_xaxis_transform()
        axis.plot(trial[~fine], edge, "x", ms=5, color=GREY, label="diverged", transform=place)
    axis.set_xlabel("trial")
    count_along(axis)
    axis.set_ylabel(results.monitor)
    axis.grid(alpha=0.25)
    drawn.legend(loc="outside upper right", ncols=3, frameon=False, fontsize="small")  # beside no trial
    return drawn

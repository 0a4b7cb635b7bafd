"""The losses of a learning-rate range test over its rates."""

from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import BLUE, ORANGE, figure, logarithmic_along


def plot_lr_range(found: Any) -> Any:
    """Smoothed losses by rate: a thin line a seed, a thick one their mean, the suggested rate marked.

    Arguments:
        found: a `RangeTest`, as `lr_range_test` returns it.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing.

    Source: Smith 2017, figure 3.
    """
    shown = found.rates <= found.largest * 1.5
    mean = found.smoothed.mean(axis=0)
    drawn = figure(6.0, 3.4)
    axis = drawn.subplots()
    axis.plot(found.rates[shown], found.smoothed.T[shown], lw=0.6, alpha=0.5, color=BLUE)
    axis.plot(found.rates[shown], mean[shown], lw=2, color=BLUE, label="smoothed loss")
    at = int(np.argmin(abs(found.rates - found.suggested)))
    label = f"suggested: {found.suggested:.2g}"
    axis.plot(found.suggested, mean[at], "*", ms=14, color=ORANGE, label=label)
    logarithmic_along(axis)
    axis.set_xlabel("learning rate")
    axis.set_ylabel("loss of the batch")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    return drawn

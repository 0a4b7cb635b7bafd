"""Training and validation curves."""

import itertools
from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import count_along, figure

COLORS = ("#4063d8", "#d83933", "#389826", "#9558b2")


def plot_curves(history: dict[str, Any], title: str = "") -> Any:
    """Losses on the left, validation metrics on the right: a thin line a seed, a thick one their mean.

    Losses have a logarithmic axis where all of them are positive.

    Arguments:
        history: as `Trainer.advance` returns it: name → array [epochs], or [seeds, epochs].
        title: above the picture.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing. ValueError: nothing to draw.
    """
    curves = {name: np.atleast_2d(np.asarray(values, float)) for name, values in history.items()}
    losses = {name: curve for name, curve in curves.items() if name.endswith("loss")}
    metrics = {
        name: curve for name, curve in curves.items() if name.startswith("valid_") and name not in losses
    }
    panels = [panel for panel in (losses, metrics) if panel]
    if not panels:
        raise ValueError(
            f"plot_curves(history) has {sorted(curves)}, expected a name that ends in 'loss' or starts "
            "with 'valid_'."
        )
    drawn = figure(4.6 * len(panels), 3.4)
    axes = drawn.subplots(1, len(panels), squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        for color, (name, curve) in zip(itertools.cycle(COLORS), panel.items(), strict=False):
            epochs = np.arange(1, curve.shape[1] + 1)
            axis.plot(epochs, curve.T, lw=0.6, alpha=0.4, color=color)
            axis.plot(epochs, curve.mean(axis=0), lw=2, color=color, label=name)
        if panel is losses and all((curve[np.isfinite(curve)] > 0).all() for curve in panel.values()):
            axis.set_yscale("log")
        axis.set_xlabel("epoch")
        count_along(axis)
        axis.grid(alpha=0.25)
        axis.legend(frameon=False)
    if title:
        drawn.suptitle(title, fontsize="medium")
    return drawn

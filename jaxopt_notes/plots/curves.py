"""Training and validation curves."""

from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import GREY, ORANGE, count_along, figure, label_axes
from jaxopt_notes.plots.lines import draw_line


def plot_curves(
    history: dict[str, Any], title: str = "", *, monitor: str = "valid_loss", mode: str | None = None
) -> Any:
    """Losses on the left, validation metrics on the right: the median over seeds, a band, the best epoch.

    Losses have a logarithmic axis where all of them are positive. Bands are from the 10th to the 90th
    percentile.

    Arguments:
        history: as `Trainer.advance` returns it: name → array [epochs], or [seeds, epochs]. Of "step_loss"
            ([epochs, windows], or with seeds) the median is a thin line.
        title: above the picture.
        monitor: the curve whose best epoch is marked, where history has it.
        mode: "min" or "max"; by default the least of a loss, the largest of anything else.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing. ValueError: nothing to draw.
    """
    steps = np.asarray(history.get("step_loss", ()), float)
    curves = {
        name: np.atleast_2d(np.asarray(values, float))
        for name, values in history.items() if not name.startswith("step_")
    }  # fmt: skip
    losses = {name: curve for name, curve in curves.items() if name.endswith("loss")}
    metrics = {
        name: curve for name, curve in curves.items() if name.startswith("valid_") and name not in losses
    }
    panels = {name: panel for name, panel in (("loss", losses), ("metric", metrics)) if panel}
    if not panels:
        raise ValueError(
            f"plot_curves(history) has {sorted(curves)}, expected a name that ends in 'loss' or starts "
            "with 'valid_'."
        )
    best = _best_epoch(curves.get(monitor), mode or ("min" if monitor.endswith("loss") else "max"))
    drawn = figure(4.6 * len(panels), 3.4)
    axes = drawn.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, panel) in zip(axes, panels.items(), strict=True):
        for index, (label, curve) in enumerate(panel.items()):
            epochs = np.arange(1, curve.shape[1] + 1)
            middle = draw_line(axis, curve, epochs, index, label)
            if best is not None and label == monitor:
                axis.plot(best, middle[best - 1], "*", ms=13, color=ORANGE, mec="white")
        if panel is losses and steps.ndim > 1:
            windows = steps.shape[-1]
            each = steps.reshape(*steps.shape[:-2], -1)
            along = np.arange(1, each.shape[-1] + 1) / windows
            axis.plot(
                along, np.median(np.atleast_2d(each), axis=0), lw=0.7, color=GREY, label="step_loss", zorder=1
            )
        if best is not None:
            axis.axvline(best, lw=1, color=GREY, linestyle=":", label=f"best epoch: {best}")
        if panel is losses and all((curve[np.isfinite(curve)] > 0).all() for curve in panel.values()):
            axis.set_yscale("log")
        label_axes(axis, "epoch", name if len(panel) > 1 else next(iter(panel)))
        count_along(axis)
        axis.legend(frameon=False, fontsize="small")
    if title:
        drawn.suptitle(title, fontsize="medium")
    return drawn


def _best_epoch(curve: np.ndarray | None, mode: str) -> int | None:
    """Counted from one; of the median over seeds. `None` without a number among them."""
    if curve is None:
        return None
    middle = np.median(curve, axis=0) * (1 if mode == "min" else -1)
    finite = np.isfinite(middle)
    return int(np.argmin(np.where(finite, middle, np.inf))) + 1 if finite.any() else None

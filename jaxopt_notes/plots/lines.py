"""Lines with bands over seeds: what most pictures of training are made of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.plots.figure import figure, label_axes, line_style, logarithmic_along

BAND = (0.1, 0.9)  # quantiles over seeds


def plot_lines(
    lines: Mapping[str, Any],
    x: ArrayLike | None = None,
    *,
    xlabel: str = "",
    ylabel: str = "",
    xscale: str = "linear",
    yscale: str = "linear",
    title: str = "",
    width: float = 4.6,
    height: float = 3.4,
) -> Any:
    """Named lines in one panel, or in several side by side: the median over seeds, and a band around it.

    Arguments:
        lines: name → array [n], or [seeds, n]; or title of a panel → such a dict. The band is from the 10th
            to the 90th percentile. Where a seed is NaN there is a gap.
        x: [n], common to all; by default 0, 1, ….
        xlabel, ylabel, title: what is along the axes, and above the picture.
        xscale, yscale: "linear" or "log", as matplotlib has them ("symlog" too).
        width, height: of a panel, in inches.

    Returns:
        A matplotlib Figure.

    Raises:
        ValueError: nothing to draw, or a line that has not the length of x. ImportError: matplotlib is
            missing.

    Example:
        >>> drawn = plot_lines({"descent": [4.0, 2.0, 1.0], "ascent": [[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]]})
        >>> [line.get_ydata().tolist() for line in drawn.axes[0].lines]
        [[4.0, 2.0, 1.0], [1.5, 3.0, 6.0]]
    """
    if not lines:
        raise ValueError("plot_lines(lines) is empty, expected at least one name → array.")
    nested = all(isinstance(values, Mapping) for values in lines.values())
    panels = lines if nested else {"": lines}
    drawn = figure(width * len(panels), height)
    axes = drawn.subplots(1, len(panels), squeeze=False)[0]
    alike = len({tuple(panel) for panel in panels.values()}) == 1
    for axis, (name, panel) in zip(axes, panels.items(), strict=True):
        for index, (label, values) in enumerate(panel.items()):
            draw_line(axis, values, x, index, label)
        axis.set_yscale(yscale)
        label_axes(axis, xlabel, ylabel, name)
        if xscale == "log":
            logarithmic_along(axis)
        else:
            axis.set_xscale(xscale)
        if axis is axes[-1] or not alike:  # one for all, where all have the same
            axis.legend(frameon=False, fontsize="small")
    if title:
        drawn.suptitle(title, fontsize="medium")
    return drawn


def draw_line(axis: Any, values: ArrayLike, x: Any, index: int, label: str) -> np.ndarray:
    """One line of `plot_lines`; returns what it is drawn through."""
    curve = np.atleast_2d(np.asarray(values, float))
    along = np.arange(curve.shape[1]) if x is None else np.asarray(x, float)
    if along.shape != curve.shape[1:]:
        raise ValueError(
            f"the line {label!r} has shape {np.shape(values)}, expected [n] or [seeds, n] "
            f"with n = {along.size}, the length of x."
        )
    style = line_style(index)
    with np.errstate(invalid="ignore"):  # between infinities
        middle = np.median(curve, axis=0)
        low, high = np.quantile(curve, BAND, axis=0)
    if len(curve) > 1:
        axis.fill_between(along, low, high, color=style["color"], alpha=0.18, lw=0)
    axis.plot(along, middle, lw=1.8, label=label, **style)
    return middle

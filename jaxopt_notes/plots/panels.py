"""Panels of several pictures side by side, and what stands in them: bands over seeds, points by group."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import BLUE, ORANGE, figure
from jaxopt_notes.plots.lines import draw_line


def panels(n: int, *, columns: int | None = None, width: float = 4.2, height: float = 3.3) -> tuple:
    """A figure with n empty panels, sizes in inches.

    Returns:
        The figure and a list of n axes.
    """
    columns = min(n, 3) if columns is None else columns
    lines = math.ceil(n / columns)
    drawn = figure(width * columns, height * lines)
    axes = list(drawn.subplots(lines, columns, squeeze=False).flat)
    for axis in axes[n:]:
        axis.remove()
    for axis in axes[:n]:
        axis.grid(alpha=0.25)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    return drawn, axes[:n]


def bands(axis: Any, x: Any, curves: Mapping[str, Any], *, legend: bool = True) -> None:
    """Curves [..., T] by name: the median over all leading axes as a line, the middle half as a band."""
    for i, (name, curve) in enumerate(curves.items()):
        draw_line(axis, np.asarray(curve).reshape(-1, np.shape(curve)[-1]), x, i, name)
    if legend:
        axis.legend(frameon=False, fontsize="small")


def points(axis: Any, groups: Mapping[str, Any], *, label: str = "") -> None:
    """One number a seed for each group: a dot each, a bar at the median."""
    for i, group in enumerate(groups.values()):
        values = np.asarray(group, float).ravel()
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
        axis.plot(i + spread, values, "o", ms=3.5, alpha=0.6, color=BLUE, mew=0)
        axis.plot([i - 0.3, i + 0.3], [np.median(values)] * 2, color=ORANGE, lw=2)
    slanted = {"rotation": 25, "ha": "right"} if len(groups) > 4 else {}
    axis.set_xticks(range(len(groups)), list(groups), **slanted)
    axis.set_xlim(-0.6, len(groups) - 0.4)
    axis.set_ylabel(label)

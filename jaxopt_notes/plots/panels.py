"""Panels of one style: bands over seeds, and points by group. Colours are those of Okabe & Ito 2008.

They can be told apart by colour-blind readers, and lines differ in dashes too, so that print in grey will do.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import figure

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def panels(n: int, *, columns: int | None = None, width: float = 4.2, height: float = 3.3) -> tuple:
    """A figure with n empty panels.

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
    return drawn, axes[:n]


def bands(axis: Any, x: Any, curves: Mapping[str, Any], *, legend: bool = True) -> None:
    """Curves [..., T] by name: the median over all leading axes as a line, the quartiles as a band."""
    styles = itertools.cycle(zip(COLORS, DASHES, strict=True))
    for (name, curve), (color, dashes) in zip(curves.items(), styles, strict=False):
        values = np.asarray(curve, float).reshape(-1, np.shape(curve)[-1])
        low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
        axis.plot(x, middle, color=color, ls=dashes, lw=1.8, label=name)
        if len(values) > 1:
            axis.fill_between(x, low, high, color=color, alpha=0.18, lw=0)
    if legend:
        axis.legend(frameon=False, fontsize="small")


def points(axis: Any, groups: Mapping[str, Any], *, label: str = "") -> None:
    """One number a seed for each group: a dot each, a bar at the median."""
    for i, group in enumerate(groups.values()):
        values = np.asarray(group, float).ravel()
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
        axis.plot(i + spread, values, "o", ms=3.5, alpha=0.6, color=COLORS[0], mew=0)
        axis.plot([i - 0.3, i + 0.3], [np.median(values)] * 2, color=COLORS[1], lw=2)
    axis.set_xticks(range(len(groups)), list(groups), rotation=25 if len(groups) > 4 else 0)
    axis.set_xlim(-0.6, len(groups) - 0.4)
    axis.set_ylabel(label)

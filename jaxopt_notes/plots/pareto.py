"""The compromises that a search with several monitors found, and which of them are worth having."""

from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import BLUE, GREY, ORANGE, figure, label_axes
from jaxopt_notes.record import check_choice


def plot_pareto(results: Any, x: str | None = None, y: str | None = None) -> Any:
    """Two monitors against each other: every configuration, and the Pareto front as a line.

    Arguments:
        results: a `Results` of a sweep with several monitors. Infeasible configurations are grey crosses. Of
            more than two monitors the front is that of all, and its points are not joined.
        x, y: which two; by default the second and the first.

    Returns:
        A matplotlib Figure.

    Raises:
        ValueError: a name that is no monitor, or there is only one. ImportError: matplotlib is missing.

    Example:
        >>> from jaxopt_notes.search import Results
        >>> loss, size = np.array([[0.1], [0.2], [0.3]]), {"size": np.array([[300.0], [100.0], [200.0]])}
        >>> results = Results({"a": np.arange(3)}, loss, "loss", measured=size, others={"size": "min"})
        >>> plot_pareto(results).axes[0].get_xlabel()
        'size'

    Source: Deb, Pratap, Agarwal & Meyarivan 2002.
    """
    monitors = tuple(results.monitors)
    if len(monitors) < 2:
        raise ValueError(
            f"plot_pareto needs several monitors, and these results have {monitors[0]!r} alone: "
            'sweep(monitor=("valid_loss", "parameters")).'
        )
    across = check_choice("plot_pareto(x)", monitors[1] if x is None else x, monitors)
    up = check_choice("plot_pareto(y)", monitors[0] if y is None else y, monitors)
    places = np.stack([results.means[across], results.means[up]], axis=1).astype(float)
    front = np.array(sorted(results.pareto_front(), key=lambda i: tuple(places[i])), int)
    known = np.isfinite(places).all(axis=1)
    broken = known & ~results.feasible
    others = known & results.feasible & ~np.isin(np.arange(len(results)), front)
    drawn = figure(5.4, 3.8)
    axis = drawn.subplots()
    for which, style in (
        (broken, {"marker": "x", "color": GREY, "label": "infeasible"}),
        (others, {"marker": "o", "color": BLUE, "label": "dominated", "alpha": 0.6}),
    ):
        if which.any():
            axis.plot(*places[which].T, linestyle="", markersize=4, **style)
    if len(front):
        steps = "steps-post" if results.monitors[across] == "min" else "steps-pre"
        line = {"linestyle": "-" if len(monitors) == 2 else "", "linewidth": 1.2, "drawstyle": steps}
        axis.plot(*places[front].T, marker="*", markersize=10, color=ORANGE, label="Pareto front", **line)
    label_axes(axis, across, up)
    axis.legend(frameon=False, fontsize="small")
    return drawn

"""How much each hyperparameter mattered, and which mattered together, as bars."""

from typing import Any

from jaxopt_notes.plots.figure import BLUE, ORANGE, figure, label_axes
from jaxopt_notes.search.importance import pair_importance

LEAST = 0.01  # the share from which on a pair is drawn


def plot_importance(results: Any, method: str | None = None, pairs: int = 0) -> Any:
    """The share of the score's variance that each hyperparameter explains on its own, and the top pairs.

    Arguments:
        results: a `Results`.
        method: see `search.importance`.
        pairs: how many pairs are drawn below, at most: what two explain only together, from 0.01 on.

    Returns:
        A matplotlib Figure, the most important hyperparameter on top.

    Raises:
        ImportError: matplotlib is missing.

    Source: Hutter, Hoos & Leyton-Brown 2014.
    """
    shares = results.importance(method)
    bars = [(name, share, BLUE) for name, share in shares.items()]
    if pairs:
        together = list(pair_importance(results, method).items())[:pairs]
        bars += [(f"{one} × {other}", share, ORANGE) for (one, other), share in together if share >= LEAST]
    drawn = figure(6.0, 0.8 + 0.32 * max(len(bars), 1))
    axis = drawn.subplots()
    bars.reverse()  # the first on top
    places = range(len(bars))
    axis.barh(places, [share for _, share, _ in bars], color=[color for *_, color in bars])
    axis.set_yticks(places, [name for name, *_ in bars])
    for place, (_, share, _) in zip(places, bars, strict=True):
        axis.annotate(f"{share:.2f}", (share, place), (3, 0), textcoords="offset points", va="center",
                      fontsize="small")  # fmt: skip
    axis.set_xlim(0, 1)
    label_axes(axis, f"share of the variance of {results.monitor}, by rank", "")
    axis.grid(visible=False, axis="y")
    return drawn

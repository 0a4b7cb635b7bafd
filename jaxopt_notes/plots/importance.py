"""How much each hyperparameter mattered, as bars."""

from typing import Any

from jaxopt_notes.plots.figure import BLUE, figure


def plot_importance(results: Any, method: str | None = None) -> Any:
    """The share of the score's variance that each hyperparameter explains on its own.

    Arguments:
        results: a `Results`.
        method: see `search.importance`.

    Returns:
        A matplotlib Figure, the most important hyperparameter on top.

    Raises:
        ImportError: matplotlib is missing.

    Source: Hutter, Hoos & Leyton-Brown 2014.
    """
    shares = results.importance(method)
    names = list(shares)[::-1]
    drawn = figure(6.0, 0.8 + 0.35 * max(len(names), 1))
    axis = drawn.subplots()
    axis.barh(names, [shares[name] for name in names], color=BLUE)
    axis.set_xlim(0, 1)
    axis.set_xlabel(f"share of the variance of {results.monitor}, by rank")
    axis.grid(axis="x", alpha=0.25)
    return drawn

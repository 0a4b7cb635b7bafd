"""A figure to draw on, without a global state: it works in scripts, threads and notebooks alike."""

from typing import Any


def figure(width: float, height: float) -> Any:
    """An empty matplotlib Figure, in inches, that no window manager knows of.

    Raises:
        ImportError: matplotlib is missing; the message names the extra that brings it.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plots need matplotlib, which is not installed: pip install "jaxopt-notes[demo]".'
        ) from error
    drawn = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(drawn)
    return drawn

"""A figure to draw on, without a global state: it works in scripts, threads and notebooks alike."""

import io
from typing import Any


def figure(width: float, height: float) -> Any:
    """An empty matplotlib Figure, in inches, that no window manager knows of and a notebook shows.

    Raises:
        ImportError: matplotlib is missing; the message names the extra that brings it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plots need matplotlib, which is not installed: pip install "jaxopt-notes[demo]".'
        ) from error

    class Picture(Figure):
        def _repr_png_(self) -> bytes:  # what notebooks ask for
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=90)
            return buffer.getvalue()

    return Picture(figsize=(width, height), layout="constrained")


def count_along(axis: Any) -> None:
    """Whole numbers along the horizontal axis: there is no epoch 1.5."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def logarithmic_along(axis: Any) -> None:
    """A logarithmic horizontal axis; where it spans few decades, with 1, 2 and 5 as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_xscale("log")
    low, high = axis.get_xlim()
    if high < 1000 * low:
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())

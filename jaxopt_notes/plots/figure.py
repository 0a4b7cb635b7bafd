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

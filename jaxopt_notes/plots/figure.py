"""A figure to draw on, and the one style of all pictures.

A figure has no global state: it works in scripts, threads and notebooks alike, and nothing shows it unasked.
Lines differ in colour, which the colour-blind tell apart, and in dashes, which a printer without colours
keeps.
"""

import io
from typing import Any

# The colours of Okabe & Ito 2008, from dark to light; yellow is left out, which paper does not show.
BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, "#000000")
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)))
GREY = "#777777"


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


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the line with this number, as arguments of `Axes.plot`."""
    return {"color": COLORS[index % len(COLORS)], "linestyle": DASHES[index % len(DASHES)]}


def label_axes(axis: Any, x: str, y: str, title: str = "") -> None:
    """What is along both axes, faint lines behind, no frame above and on the right."""
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    if title:
        axis.set_title(title, fontsize="medium")
    axis.grid(alpha=0.25)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


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

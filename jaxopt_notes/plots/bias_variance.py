"""The parts of the expected error, over capacity or over epochs."""

from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.plots.figure import ORANGE, figure, label_axes, line_style


def plot_bias_variance(
    parts: Any, x: ArrayLike | None = None, *, xlabel: str = "epoch", title: str = ""
) -> Any:
    """Squared bias, variance, noise and their sum, whose least value is marked.

    Arguments:
        parts: a `BiasVariance` of arrays [n], or [n, points], over whose points the mean is taken.
        x: [n], such as epochs, degrees or widths; by default 1, 2, ….
        xlabel, title: what x is, and above the picture.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing. ValueError: parts that have not the length of x.

    Source: Geman, Bienenstock & Doursat 1992, figure 1.
    """
    curves = {
        "bias²": parts.bias_squared,
        "variance": parts.variance,
        "noise": parts.noise,
        "sum": parts.total,
    }
    means = {}
    for name, values in curves.items():
        array = np.asarray(values, float)
        means[name] = array.mean(axis=1) if array.ndim == 2 else array
    along = np.arange(1, len(means["sum"]) + 1) if x is None else np.asarray(x, float)
    if along.shape != means["sum"].shape:
        raise ValueError(
            f"plot_bias_variance(x) has shape {along.shape}, expected {means['sum'].shape}, "
            "the length of parts."
        )
    drawn = figure(5.4, 3.4)
    axis = drawn.subplots()
    for index, (name, mean) in enumerate(means.items()):
        axis.plot(along, mean, lw=2.4 if name == "sum" else 1.5, label=name, **line_style(index))
    best = int(np.argmin(means["sum"]))
    axis.plot(
        along[best],
        means["sum"][best],
        "*",
        ms=13,
        color=ORANGE,
        mec="white",
        label=f"least: {along[best]:g}",
    )
    label_axes(axis, xlabel, "expected squared error", title)
    axis.legend(frameon=False, fontsize="small")
    return drawn

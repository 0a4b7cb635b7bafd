"""What the layers of a network hold, as histograms."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import BLUE, figure, label_axes


def plot_histograms(
    layers: Mapping[str, Any],
    *,
    span: tuple[float, float] | None = None,
    bins: int = 25,
    xlabel: str = "activation",
    title: str = "",
) -> Any:
    """One histogram a layer, all on the same axes, with the standard deviation above each.

    Arguments:
        layers: name → values of any shape: activations, gradients, weights. Of activations [samples, units]
            two deviations are written: of all values, and of a unit over the samples, which is what tells
            whether the layer still depends on its input.
        span: the ends of the horizontal axis; by default those of all finite values.
        bins: of each histogram.
        xlabel, title: what the values are, and above the picture.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing. ValueError: no layers.

    Source: the study notes' figures of initialization; Glorot & Bengio 2010, figure 2.
    """
    if not layers:
        raise ValueError("plot_histograms(layers) is empty, expected at least one name → array.")
    values = {name: np.asarray(layer, float) for name, layer in layers.items()}
    if span is None:
        every = np.concatenate([layer.ravel() for layer in values.values()])
        span = tuple(np.quantile(every[np.isfinite(every)], [0, 1]))
    across = min(6, len(values))
    down = -(-len(values) // across)
    drawn = figure(max(2.0 * across, 4.0), 2.1 * down + 0.3)
    axes = drawn.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(values) :]:
        axis.set_visible(False)
    for axis, (name, layer) in zip(axes.flat, values.items(), strict=False):
        edges = np.linspace(*span, bins + 1)
        counts = np.histogram(layer, edges)[0] / layer.size
        axis.stairs(counts, edges, fill=True, color=BLUE, alpha=0.85)
        spread = f"σ {layer.std():.2g}"
        if layer.ndim == 2:
            spread += f", unit {layer.std(axis=0).mean():.2g}"
        label_axes(axis, xlabel, "", f"{name}\n{spread}")
        axis.title.set_fontsize("small")
    for row in axes:
        row[0].set_ylabel("share")
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    if title:
        drawn.suptitle(title, fontsize="medium")
    return drawn

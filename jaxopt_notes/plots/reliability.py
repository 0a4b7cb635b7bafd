"""Whether a classifier is as often right as it says."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.metrics.calibration_error import calibration_error
from jaxopt_notes.plots.figure import GREY, figure, label_axes, line_style


def plot_reliability(
    outputs: ArrayLike, targets: ArrayLike, *, bins: int = 10, from_logits: bool = True
) -> Any:
    """Accuracy by confidence, in bins of equal width, and how many samples each bin has.

    Arguments:
        outputs: logits (or probabilities) [n, classes]; or name → such an array.
        targets: labels [n].
        bins: (0, 1/M], … (1 − 1/M, 1], as of `calibration_error`, whose value stands beside each name.
        from_logits: whether outputs are logits.

    Returns:
        A matplotlib Figure. Below the diagonal a model is surer than it is right.

    Raises:
        ImportError: matplotlib is missing. ValueError: see `calibration_error`.

    Source: Guo et al. 2017, "On calibration of modern neural networks", figure 1.
    """
    named = dict(outputs) if isinstance(outputs, Mapping) else {"": outputs}
    labels = np.asarray(targets)
    drawn = figure(4.6, 4.4)
    above, below = drawn.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], lw=1, color=GREY, label="calibrated")
    for index, (name, values) in enumerate(named.items()):
        error = float(calibration_error(values, targets, bins=bins, from_logits=from_logits))
        shares = np.asarray(jax.nn.softmax(values, axis=-1) if from_logits else values, float)
        confidence, right = shares.max(axis=1), shares.argmax(axis=1) == labels
        place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
        count = np.bincount(place, minlength=bins)
        kept = count > 0
        means = [np.bincount(place, of, bins)[kept] / count[kept] for of in (confidence, right)]
        style = line_style(index)
        label = f"{name + ': ' if name else ''}calibration error {error:.3f}"
        above.plot(*means, marker="o", ms=4, label=label, **style)
        below.stairs(count / len(labels), np.linspace(0, 1, bins + 1), lw=1.6, **style)
    label_axes(above, "", "accuracy")
    above.legend(frameon=False, fontsize="small")
    label_axes(below, "confidence", "share")
    return drawn

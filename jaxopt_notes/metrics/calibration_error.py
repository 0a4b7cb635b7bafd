"""The expected calibration error: how far confidence is from accuracy."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.classes import read_samples
from jaxopt_notes.numerics import sums_by_index
from jaxopt_notes.record import check_count

__all__ = ["calibration_error"]


def calibration_error(
    outputs: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    bins: int = 15,
    from_logits: Any = True,
) -> jax.Array:
    """The expected calibration error (ECE), over bins of equal width.

        ECE = Σ_b |Σ over i in b of wᵢ·([ŷᵢ = yᵢ] − max_c pᵢ_c)| / Σᵢ wᵢ

    Arguments:
        outputs, targets, weights, from_logits: see `log_loss`.
        bins: how many bins (0, 1/M], … (1 − 1/M, 1] the confidences are sorted into, static.

    Returns:
        A scalar in [0, 1], in float32 (float64 for outputs of float64); 0 is best. Labels outside [0, C)
        count nothing. An output that is NaN makes it NaN.

    Raises:
        ValueError: targets or weights of a wrong shape, or no bin. TypeError: labels that are not
            integers, or a traced number of bins.

    Example:
        >>> outputs = jnp.array([[0.875, 0.125], [0.875, 0.125]])
        >>> calibration_error(outputs, jnp.array([0, 1]), from_logits=False)
        Array(0.375, dtype=float32)

    In a bin, |accuracy − confidence| times its part of the weight is the absolute sum above. The estimate is
    biased upwards, the more so the more bins there are: compare models by the same bins and samples.

    Source: Guo et al. 2017, "On calibration of modern neural networks", equation 3.

    Elsewhere: `torchmetrics.CalibrationError` has the same bins; `sklearn.calibration.calibration_curve`
    gives accuracy and mean probability of class 1 per bin.
    """
    bins = check_count("calibration_error(bins)", bins, 1)
    s = read_samples("calibration_error", outputs, targets, weights)
    p = s.probabilities(from_logits)
    confidence = jnp.max(p, axis=1)
    right = (jnp.argmax(p, axis=1).astype(s.labels.dtype) == s.labels).astype(p.dtype)
    place = jnp.clip(jnp.ceil(confidence * bins).astype(jnp.int32) - 1, 0, bins - 1)
    gaps = sums_by_index(place, s.weights * (right - confidence), bins)
    total = jnp.sum(s.weights)
    return jnp.sum(jnp.abs(gaps)) / jnp.where(total == 0, 1, total)

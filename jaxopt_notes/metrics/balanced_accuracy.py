"""Balanced accuracy: every class counts the same, however rare it is."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.classes import read_samples
from jaxopt_notes.metrics.confusion_matrix import class_counts
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.record import Number

__all__ = ["balanced_accuracy"]


def balanced_accuracy(
    outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, *, threshold: Number = 0.0
) -> jax.Array:
    """The mean over the classes of the part of each that is recognized.

        A = mean over classes c that occur of (Σ of wᵢ where yᵢ = c = ŷᵢ) / (Σ of wᵢ where yᵢ = c)

    Arguments:
        outputs: scores, logits or probabilities, [B, …, C], or one per sample, [B] or [B, 1], of class 1.
        targets: integer labels [B, …], or one-hot or soft targets [B, …, C]; for single scores 0 and 1.
        weights: [B] or [B, …], numbers ≥ 0; `None` weights all alike.
        threshold: what a single score must exceed: 0 for logits, 0.5 for probabilities.

    Returns:
        A scalar in float32 (float64 for outputs of float64). Classes without a sample are left out, and
        so are labels outside [0, C). An output that is NaN is wrong.

    Raises:
        ValueError: targets or weights of a wrong shape. TypeError: labels that are not integers.

    Example:
        >>> always_0 = jnp.array([[1.0, 0.0]] * 4)
        >>> balanced_accuracy(always_0, jnp.array([0, 0, 0, 1]))
        Array(0.5, dtype=float32)

    Elsewhere: `sklearn.metrics.balanced_accuracy_score`, of classes instead of scores.
    """
    counts = class_counts(read_samples("balanced_accuracy", outputs, targets, weights), threshold)
    occurs = (counts.actual > 0).astype(counts.actual.dtype)
    return safe_divide(jnp.sum(safe_divide(counts.right, counts.actual)), jnp.sum(occurs))

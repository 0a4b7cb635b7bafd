"""Accuracy: whether the true class is the first, or among the first k, by the outputs."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import as_hyperparameter, compute_dtype
from jaxopt_notes.metrics.classes import labels_of
from jaxopt_notes.record import Number, check_number

__all__ = ["accuracy", "top_k_accuracy"]


def accuracy(outputs: ArrayLike, targets: ArrayLike) -> jax.Array:
    """Whether each prediction, the class of the largest output, is right.

        aᵢ = 1 if argmax_c oᵢ_c = yᵢ else 0

    Arguments:
        outputs: scores, logits or probabilities, [B, …, C].
        targets: integer labels [B, …], or one-hot or soft targets [B, …, C], of which the largest
            counts.

    Returns:
        [B, …], 0.0 or 1.0, in float32 (float64 for outputs of float64). Among equal outputs the first class
        is predicted. Wrong are: outputs holding a NaN, labels outside [0, C), one-hot rows of zeros.

    Raises:
        ValueError: targets of neither shape. TypeError: labels that are not integers.

    Example:
        >>> accuracy(jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0]))
        Array([1., 0.], dtype=float32)

    Elsewhere: `sklearn.metrics.accuracy_score` is the mean of these, of classes instead of scores.
    """
    return _within("accuracy", outputs, targets, 1)


def top_k_accuracy(outputs: ArrayLike, targets: ArrayLike, k: Number = 5) -> jax.Array:
    """Whether the true class is among the k with the largest outputs.

        aᵢ = 1 if #{c : oᵢ_c comes before oᵢ_yᵢ} < k else 0

    Arguments:
        outputs: scores, logits or probabilities, [B, …, C].
        targets: as for `accuracy`.
        k: at least 1; a number like any other, which may be traced.

    Returns:
        [B, …], 0.0 or 1.0, in float32 (float64 for outputs of float64). Equal outputs come in the order
        of the classes, so k = 1 is `accuracy`.

    Raises:
        ValueError: targets of neither shape, or k < 1. TypeError: labels that are not integers.

    Example:
        >>> top_k_accuracy(jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), jnp.array([1, 2]), k=2)
        Array([1., 0.], dtype=float32)

    Elsewhere: `sklearn.metrics.top_k_accuracy_score` is the mean of these; among equal outputs it
    puts the last class first.
    """
    k = check_number("top_k_accuracy(k)", k, "[1, inf)", "k = 1 is accuracy")
    return _within("top_k_accuracy", outputs, targets, k)


def _within(where: str, outputs: ArrayLike, targets: ArrayLike, k: Number) -> jax.Array:
    """1.0 where fewer than k classes come before the true one."""
    outputs = jnp.asarray(outputs)
    labels = labels_of(where, outputs, jnp.asarray(targets))[..., None]
    classes = lax.broadcasted_iota(labels.dtype, outputs.shape, outputs.ndim - 1)
    true = classes == labels
    score = jnp.where(true, outputs, jnp.zeros_like(outputs))
    score = jnp.sum(score, axis=-1, keepdims=True, dtype=outputs.dtype)
    before = (outputs > score) | ((outputs == score) & (classes < labels))
    rank = as_hyperparameter(jnp.sum(before, axis=-1))
    usable = jnp.any(true, axis=-1) & ~jnp.any(jnp.isnan(outputs), axis=-1)
    return (usable & (rank < as_hyperparameter(k))).astype(compute_dtype(outputs))

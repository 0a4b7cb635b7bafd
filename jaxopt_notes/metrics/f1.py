"""Precision, recall and their harmonic mean F1, of one class or averaged over all.

They are quotients of sums over a data set, so their means over batches are not those of the whole.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.classes import Samples, read_samples
from jaxopt_notes.metrics.confusion_matrix import Counts, class_counts
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.record import Number, check_choice

__all__ = ["f1", "precision", "recall"]


def precision(
    outputs: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    average: str = "binary",
    threshold: Number = 0.0,
) -> jax.Array:
    """The part of what is predicted to be of a class that is of it.

        precision = TP / (TP + FP)

    Arguments:
        outputs: scores, logits or probabilities, [B, …, C], or one per sample, [B] or [B, 1], of class 1.
        targets: integer labels [B, …], or one-hot or soft targets [B, …, C]; for single scores 0 and 1.
        weights: [B] or [B, …], numbers ≥ 0; `None` weights all alike.
        average: "binary", of class 1 of two; "macro", the mean over the classes that occur among targets
            or predictions; "micro", of the sums over all classes; static.
        threshold: what a single score must exceed: 0 for logits, 0.5 for probabilities.

    Returns:
        A scalar in float32 (float64 for outputs of float64); 0 where nothing is predicted.

    Raises:
        ValueError: targets or weights of a wrong shape, an unknown average, or "binary" of more than two
            classes. TypeError: labels that are not integers.

    Example:
        >>> precision(jnp.array([2.0, 1.0, -1.0, -2.0]), jnp.array([1, 0, 1, 0]))
        Array(0.5, dtype=float32)

    Elsewhere: `sklearn.metrics.precision_score`, of classes instead of scores.
    """
    counts, occurs = _read("precision", outputs, targets, weights, average, threshold)
    return _mean(safe_divide(counts.right, counts.predicted), occurs)


def recall(
    outputs: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    average: str = "binary",
    threshold: Number = 0.0,
) -> jax.Array:
    """The part of a class that is predicted to be of it.

        recall = TP / (TP + FN)

    Arguments:
        outputs, targets, weights, average, threshold: see `precision`.

    Returns:
        A scalar in float32 (float64 for outputs of float64); 0 where the class has no sample.

    Raises:
        ValueError, TypeError: see `precision`.

    Example:
        >>> recall(jnp.array([2.0, 1.0, -1.0, -2.0]), jnp.array([1, 1, 1, 1]))
        Array(0.5, dtype=float32)

    Elsewhere: `sklearn.metrics.recall_score`, of classes instead of scores.
    """
    counts, occurs = _read("recall", outputs, targets, weights, average, threshold)
    return _mean(safe_divide(counts.right, counts.actual), occurs)


def f1(
    outputs: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    average: str = "binary",
    threshold: Number = 0.0,
) -> jax.Array:
    """The harmonic mean of precision and recall.

        F1 = 2·TP / (2·TP + FP + FN)

    Arguments:
        outputs, targets, weights, average, threshold: see `precision`.

    Returns:
        A scalar in float32 (float64 for outputs of float64); 0 where there is no true positive.

    Raises:
        ValueError, TypeError: see `precision`.

    Example:
        >>> outputs, labels = jnp.array([[3.0, 1.0, 2.0], [1.0, 3.0, 2.0]]), jnp.array([0, 0])
        >>> f1(outputs, labels, average="macro").round(3), f1(outputs, labels, average="micro")
        (Array(0.333, dtype=float32), Array(0.5, dtype=float32))

    In a `Trainer`, `functools.partial(f1, average="macro")` sets the average.

    Elsewhere: `sklearn.metrics.f1_score`, of classes instead of scores.
    """
    counts, occurs = _read("f1", outputs, targets, weights, average, threshold)
    return _mean(safe_divide(2 * counts.right, counts.predicted + counts.actual), occurs)


def _read(
    where: str, outputs: Any, targets: Any, weights: Any, average: str, threshold: Number
) -> tuple[Counts, jax.Array]:
    """The counts to divide, and which of the quotients to average."""
    average = check_choice(f"{where}(average)", average, ("binary", "macro", "micro"))
    s = read_samples(where, outputs, targets, weights)
    counts = class_counts(s, threshold)
    if average == "binary":
        _check_binary(where, s)
        counts = Counts(*(count[1:] for count in counts))
    if average == "micro":
        counts = Counts(*(jnp.sum(count, keepdims=True) for count in counts))
    seen = counts.predicted + counts.actual
    return counts, (seen > 0).astype(seen.dtype)


def _check_binary(where: str, s: Samples) -> None:
    if s.classes > 2:
        raise ValueError(
            f"{where}(average) is 'binary', but the outputs have {s.classes} classes: use average='macro' or "
            f"'micro', in a Trainer functools.partial({where}, average='macro')."
        )


def _mean(quotients: jax.Array, occurs: jax.Array) -> jax.Array:
    return safe_divide(jnp.sum(quotients * occurs), jnp.sum(occurs))

"""The confusion matrix: how often each class is taken for each; precision and recall are read off it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.classes import Samples, read_samples
from jaxopt_notes.numerics import sums_by_index
from jaxopt_notes.record import Number

__all__ = ["confusion_matrix"]


def confusion_matrix(
    outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, *, threshold: Number = 0.0
) -> jax.Array:
    """How often each class is taken for each.

        M[a, b] = Σ of wᵢ over the samples of class a that are predicted to be of class b

    Arguments:
        outputs: scores, logits or probabilities, [B, …, C], of which the largest, and the first among
            equals, is predicted; or one score per sample, [B] or [B, 1], of class 1 against class 0.
        targets: integer labels [B, …], or one-hot or soft targets [B, …, C], of which the largest
            counts; for single scores 0 and 1.
        weights: [B] or [B, …], numbers ≥ 0; `None` weights all alike.
        threshold: what a single score must exceed: 0 for logits, 0.5 for probabilities.

    Returns:
        [C, C], true classes in rows and predicted ones in columns, in float32 (float64 for outputs of
        float64). A label outside [0, C) counts nothing; neither does an output that is NaN, which
        predicts no class.

    Raises:
        ValueError: targets or weights of a wrong shape. TypeError: labels that are not integers.

    Example:
        >>> confusion_matrix(jnp.array([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]]), jnp.array([0, 0, 1]))
        Array([[1., 1.],
               [0., 1.]], dtype=float32)

    It is a matrix, so no score for a `Trainer` to report: `FitResult.predict` gives the outputs.

    Elsewhere: `sklearn.metrics.confusion_matrix`, of classes instead of scores.
    """
    s = read_samples("confusion_matrix", outputs, targets, weights)
    predicted = s.predictions(threshold)
    counted = jnp.where(predicted < 0, 0, s.weights)
    cell = s.labels * s.classes + jnp.maximum(predicted, 0)
    return s.unit * sums_by_index(cell, counted, s.classes**2).reshape(s.classes, s.classes)


class Counts(NamedTuple):
    """Of every class [C]: the weight of what is rightly predicted, of what is predicted, of what is there."""

    right: jax.Array
    predicted: jax.Array
    actual: jax.Array


def class_counts(s: Samples, threshold: Number) -> Counts:
    """The diagonal of the confusion matrix, the sums of its columns and of its rows.

    Example:
        >>> s = read_samples("f1", jnp.array([1.0, -1.0, 2.0]), jnp.array([1, 1, 0]), None)
        >>> class_counts(s, 0.0).right.tolist()
        [0.0, 1.0]
    """
    predicted = s.predictions(threshold)
    right = jnp.where(predicted == s.labels, s.weights, 0)
    there = jnp.where(predicted < 0, 0, s.weights)
    return Counts(
        sums_by_index(s.labels, right, s.classes),
        sums_by_index(jnp.maximum(predicted, 0), there, s.classes),
        sums_by_index(s.labels, s.weights, s.classes),
    )

"""Metrics: how good a model is, in numbers that people report.

A metric is a function of (outputs, targets). Those of single predictions return one value per
example, for `weighted_mean` to average, so that a padded sample counts nothing; R² compares whole
columns and returns a scalar. `METRICS` lists them by name.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import as_hyperparameter, compute_dtype, is_float
from jaxopt_notes.numerics import power_of_two, safe_divide
from jaxopt_notes.record import Number, check_number

__all__ = ["METRICS", "accuracy", "r2", "top_k_accuracy"]


def accuracy(outputs: Any, targets: Any) -> jax.Array:
    """Whether each prediction, the class of the largest output, is right.

        aᵢ = 1 if argmax_c oᵢ_c = yᵢ else 0

    Arguments:
        outputs: scores, logits or probabilities, [B, …, C].
        targets: integer labels [B, …], or one-hot or soft targets [B, …, C], of which the largest
            counts.

    Returns:
        [B, …], 0.0 or 1.0 in float32. Among equal outputs the first class is predicted. Wrong are:
        outputs holding a NaN, labels outside [0, C), one-hot rows of zeros.

    Raises:
        ValueError: targets of neither shape. TypeError: labels that are not integers.

    Example:
        >>> accuracy(jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0]))
        Array([1., 0.], dtype=float32)

    Elsewhere: `sklearn.metrics.accuracy_score` is the mean of these, of classes instead of scores.
    """
    return _within("accuracy", outputs, targets, 1)


def top_k_accuracy(outputs: Any, targets: Any, k: Number = 5) -> jax.Array:
    """Whether the true class is among the k with the largest outputs.

        aᵢ = 1 if #{c : oᵢ_c comes before oᵢ_yᵢ} < k else 0

    Arguments:
        outputs: scores, logits or probabilities, [B, …, C].
        targets: as for `accuracy`.
        k: at least 1; a number like any other, which may be traced.

    Returns:
        [B, …], 0.0 or 1.0 in float32. Equal outputs come in the order of the classes, so k = 1 is
        `accuracy`.

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


def _within(where: str, outputs: Any, targets: Any, k: Number) -> jax.Array:
    """1.0 where fewer than k classes come before the true one."""
    outputs = jnp.asarray(outputs)
    labels = _labels(where, outputs, jnp.asarray(targets))[..., None]
    classes = lax.broadcasted_iota(labels.dtype, outputs.shape, outputs.ndim - 1)
    true = classes == labels
    score = jnp.where(true, outputs, jnp.zeros_like(outputs))
    score = jnp.sum(score, axis=-1, keepdims=True, dtype=outputs.dtype)
    before = (outputs > score) | ((outputs == score) & (classes < labels))
    rank = as_hyperparameter(jnp.sum(before, axis=-1))
    usable = jnp.any(true, axis=-1) & ~jnp.any(jnp.isnan(outputs), axis=-1)
    return (usable & (rank < as_hyperparameter(k))).astype(jnp.float32)


def _labels(where: str, outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Targets as integer labels; a row without any probability is not a class, −1."""
    if outputs.ndim > 0 and targets.shape == outputs.shape:
        first = jnp.argmax(targets, axis=-1)
        return jnp.where(jnp.any(targets != 0, axis=-1), first, -1)
    remedy = f"labels have one axis less than the outputs {outputs.shape}, one-hot rows as many"
    _check_shape(f"{where}(targets)", targets, outputs.shape[:-1], remedy)
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise TypeError(
            f"{where}(targets) has dtype {targets.dtype} and shape {targets.shape}, expected integer labels: "
            f"use targets.astype(int), or one-hot rows of shape {outputs.shape}."
        )
    return targets.astype(jnp.result_type(int))


def _check_shape(where: str, array: jax.Array, expected: tuple, remedy: str) -> None:
    if array.shape != expected:
        raise ValueError(f"{where} has shape {array.shape}, expected {expected}: {remedy}.")


def r2(outputs: Any, targets: Any, weights: Any = None) -> jax.Array:
    """The coefficient of determination R²: the part of the targets' variance that is explained.

        R² = 1 − Σᵢ wᵢ·(yᵢ − oᵢ)² / Σᵢ wᵢ·(yᵢ − ȳ)²

    Arguments:
        outputs: predictions, [B] or [B, K].
        targets: y, the same shape.
        weights: [B], numbers ≥ 0; `None` weights all alike.

    Returns:
        A scalar ≤ 1 in the dtype of the outputs, the mean over the K columns. A column of constant
        targets has R² 1 if it is met exactly, else 0. The unit of the targets is of no matter: they may be
        as small or as large as their dtype holds. A sample without weight counts nothing, even if it is NaN.

    Raises:
        ValueError: the shapes differ; nothing is broadcast.

    Example:
        >>> r2(jnp.array([1.0, 2.0, 4.0]), jnp.array([1.0, 2.0, 3.0]))
        Array(0.5, dtype=float32)

    A network that has memorised a sine with a fifth harmonic of a fifth of its amplitude scores
    1 − (1/5)² = 0.96 against the clean sine, so .961 there means memorised.

    Elsewhere: `sklearn.metrics.r2_score`, with the arguments the other way round.
    """
    outputs, targets = jnp.asarray(outputs), jnp.asarray(targets)
    remedy = "that of the outputs; nothing is broadcast, use targets[..., None] or outputs[..., None]"
    _check_shape("r2(targets)", targets, outputs.shape, remedy)
    kind = compute_dtype(outputs, targets)
    o, y = outputs.astype(kind), targets.astype(kind)
    w = jnp.ones(y.shape[:1], kind) if weights is None else jnp.asarray(weights).astype(kind)
    _check_shape("r2(weights)", w, y.shape[:1], "one weight a sample")
    if not y.size:
        return jnp.zeros((), outputs.dtype if is_float(outputs) else kind)
    w = w / power_of_two(jnp.max(w))
    heaviest = jnp.argmax(w)
    w = jnp.broadcast_to(w.reshape(w.shape + (1,) * (y.ndim - 1)), y.shape)
    o, y = (jnp.where((w == 0) & ~jnp.isfinite(x), 0, x) for x in (o, y))
    first = y[heaviest][None]
    # In the order of 1, so that squares neither overflow nor vanish; both units are powers of two.
    y_size = jnp.where(w > 0, jnp.abs(y), 0)
    o_size = jnp.where(w > 0, jnp.abs(o), 0)
    unit = power_of_two(jnp.max(y_size, axis=0, keepdims=True))
    wide = power_of_two(jnp.max(jnp.maximum(o_size, y_size), axis=0, keepdims=True))
    shifted = y / unit - first / unit  # so that a constant column varies by exactly 0
    mean = safe_divide(jnp.sum(w * shifted, axis=0, keepdims=True), jnp.sum(w, axis=0, keepdims=True))
    residual = jnp.sum(_weighted_square(w, o / wide - y / wide), axis=0)
    variation = jnp.sum(_weighted_square(w, shifted - mean), axis=0)
    met = (residual == 0).astype(kind)
    unexplained = safe_divide(residual, variation) * (wide / unit)[0] * (wide / unit)[0]
    score = jnp.where(variation == 0, met, 1 - unexplained)
    return jnp.mean(score).astype(outputs.dtype if is_float(outputs) else kind)


def _weighted_square(w: jax.Array, x: jax.Array) -> jax.Array:
    """w·x², and 0 where w is 0 and the square would overflow."""
    largest = 2.0 ** (jnp.finfo(x.dtype).maxexp // 2 - 1)
    return w * jnp.square(jnp.where((w == 0) & (jnp.abs(x) > largest), 0, x))


METRICS = {"accuracy": accuracy, "top_k_accuracy": top_k_accuracy, "r2": r2}

"""R², the coefficient of determination, whatever the unit of the targets."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import compute_dtype, is_float
from jaxopt_notes.metrics.classes import check_shape
from jaxopt_notes.numerics import power_of_two, safe_divide

__all__ = ["r2"]


def r2(outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> jax.Array:
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
    check_shape("r2(targets)", targets, outputs.shape, remedy)
    kind = compute_dtype(outputs, targets)
    o, y = outputs.astype(kind), targets.astype(kind)
    w = jnp.ones(y.shape[:1], kind) if weights is None else jnp.asarray(weights).astype(kind)
    check_shape("r2(weights)", w, y.shape[:1], "one weight a sample")
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

"""Statistics of weighted samples: 0 leaves a sample out, whatever it holds, and 2 counts it twice.

Weights that are on average below 1, as shares are that add up to 1, count by their proportions alone: they
are scaled to the mean 1, since quantiles and variances take Σw for the number of samples.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import compute_dtype, is_float
from jaxopt_notes.numerics import power_of_two, safe_divide, safe_sqrt


def training_set(where: str, x: Any, weights: Any) -> tuple[jax.Array, jax.Array]:
    """The samples in at least float32, those of weight 0 replaced by 0, and their weights [n], of mean ≥ 1.

    Raises:
        ValueError: no sample, or weights of another shape.
    """
    x = jnp.asarray(x)
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(
            f"{where}(x) has shape {x.shape}, expected [n, …] with n ≥ 1: pass the training set."
        )
    x = x.astype(compute_dtype(x))
    if weights is None:
        return x, jnp.ones(len(x), x.dtype)
    weights = jnp.asarray(weights).astype(x.dtype)
    if weights.shape != x.shape[:1]:
        raise ValueError(f"{where}(weights) has shape {weights.shape}, expected {x.shape[:1]}, one a sample.")
    kept = weights > 0
    count = jnp.sum(kept.astype(x.dtype))
    weights = weights * jnp.maximum(safe_divide(count, jnp.sum(weights)), 1)
    return jnp.where(beside(kept, x), x, 0), weights


def beside(weights: jax.Array, x: jax.Array) -> jax.Array:
    """Weights [n] as [n, 1, …]."""
    return weights.reshape(weights.shape + (1,) * (x.ndim - 1))


def weighted_average(x: jax.Array, weights: jax.Array) -> jax.Array:
    """Σwx/Σw over samples, each column in a unit of its own, so that no sum overflows."""
    unit = _unit(x)
    return unit * safe_divide(jnp.sum(x / unit[None] * beside(weights, x), axis=0), jnp.sum(weights))


def weighted_deviation(x: jax.Array, weights: jax.Array) -> jax.Array:
    """√(Σwx²/Σw) over samples, right where the squares cannot be represented."""
    unit = _unit(x)
    return unit * jnp.sqrt(weighted_average(jnp.square(x / unit[None]), weights))


def _unit(x: jax.Array) -> jax.Array:
    return power_of_two(jnp.max(jnp.abs(x), axis=0))


def extremes(x: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The least and the largest of each column."""
    counts = beside(weights, x) > 0
    return jnp.min(jnp.where(counts, x, jnp.inf), axis=0), jnp.max(jnp.where(counts, x, -jnp.inf), axis=0)


def quantiles(x: jax.Array, weights: jax.Array, shares: list[float]) -> list[jax.Array]:
    """Quantiles of each column, as if each sample stood there as often as its weight says."""
    order = jnp.argsort(x, axis=0)
    ranked = jnp.take_along_axis(x, order, axis=0)
    reached = jnp.cumsum(weights[order], axis=0)
    # A sum of fractions misses a whole number by rounding; of whole weights no comparison changes.
    slack = jnp.minimum(8 * jnp.finfo(x.dtype).eps * jnp.sum(weights), 0.25)

    def at(place: jax.Array) -> jax.Array:
        index = jnp.sum(reached <= place + slack, axis=0)[None]
        return jnp.take_along_axis(ranked, jnp.minimum(index, len(x) - 1), axis=0)[0]

    found = []
    for share in shares:
        place = share * (jnp.sum(weights) - 1)
        first = jnp.floor(place)
        low = at(first)
        found.append(low + (place - first) * (at(jnp.ceil(place)) - low))
    return found


def principal_axes(x: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean [d], deviations [d] from the largest on, and the axes along which they are, [d, d] in rows.

    Deviations are those of a sample, √(Σw(x − μ)²/(Σw − 1)). The largest entry of an axis is positive.
    """
    mean = weighted_average(x, weights)
    apart = x - mean[None]
    unit = power_of_two(jnp.max(jnp.abs(apart)))  # the covariance squares it
    apart = apart / unit * jnp.sqrt(weights)[:, None]
    covariance = jnp.matmul(apart.T, apart, precision=lax.Precision.HIGHEST)
    covariance = covariance / jnp.maximum(jnp.sum(weights) - 1, 1)
    variances, vectors = jnp.linalg.eigh(covariance)
    axes = vectors.T[::-1]
    largest = jnp.take_along_axis(axes, jnp.argmax(jnp.abs(axes), axis=1)[:, None], axis=1)
    deviations = unit * safe_sqrt(jnp.maximum(variances[::-1], 0))
    return mean, deviations, axes * jnp.where(largest < 0, -1, 1)


def in_dtype_of(x: ArrayLike, formula: Callable[..., jax.Array], *statistics: jax.Array) -> jax.Array:
    """`formula(x, *statistics)` in at least float32, in the dtype of x if that is a floating-point one."""
    x = jnp.asarray(x)
    kind = compute_dtype(x, *statistics)
    y = formula(x.astype(kind), *(jnp.asarray(s).astype(kind) for s in statistics))
    return y.astype(x.dtype) if is_float(x) else y


def flat(where: str, x: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    """Samples of a shape as rows [n, d].

    Raises:
        ValueError: they are of another shape.
    """
    x = jnp.asarray(x)
    if x.shape[1:] != shape:
        raise ValueError(
            f"{where} was given shape {x.shape}, expected a batch of samples of shape {shape}: for a single "
            f"sample pass x[None]."
        )
    return x.reshape(len(x), math.prod(shape))  # no rows are rows too

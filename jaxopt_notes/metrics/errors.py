"""What the metrics of regression read: errors in rows and columns, and their means whatever their unit."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import compute_dtype
from jaxopt_notes.metrics.classes import check_shape
from jaxopt_notes.numerics import power_of_two, safe_divide


def read_errors(where: str, outputs: Any, targets: Any, weights: Any) -> tuple[jax.Array, jax.Array]:
    """Errors o − y [n, K], and weights [n] of which the largest is about 1; without weight an error is 0.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> read_errors("mae", jnp.array([3.0, jnp.nan]), jnp.ones(2), jnp.array([2.0, 0.0]))[0].tolist()
        [[2.0], [0.0]]
    """
    outputs, targets = jnp.asarray(outputs), jnp.asarray(targets)
    remedy = "that of the outputs; nothing is broadcast, use targets[..., None] or outputs[..., None]"
    check_shape(f"{where}(targets)", targets, outputs.shape, remedy)
    kind = compute_dtype(outputs, targets)
    weights = jnp.ones(outputs.shape[:1], kind) if weights is None else jnp.asarray(weights).astype(kind)
    check_shape(f"{where}(weights)", weights, outputs.shape[:1], "one weight a sample")
    errors = outputs.astype(kind) - targets.astype(kind)
    errors = errors.reshape(len(errors), math.prod(errors.shape[1:]))
    weights = weights / power_of_two(jnp.max(weights, initial=0))
    return jnp.where(weights[:, None] == 0, jnp.zeros_like(errors), errors), weights


def mean_in_units(
    size: Callable, errors: jax.Array, weights: jax.Array, undo: Callable = lambda x: x
) -> jax.Array:
    """The mean over columns of undo(Σ w·size(error) / Σ w), of errors brought to the order of 1 first."""
    unit = power_of_two(jnp.max(jnp.abs(errors), axis=0, initial=0, keepdims=True))
    total = jnp.sum(weights)
    columns = undo(safe_divide(jnp.sum(weights[:, None] * size(errors / unit), axis=0), total))
    largest = jnp.max(unit, initial=0)
    return largest * safe_divide(
        jnp.sum(columns * (unit[0] / largest)), jnp.asarray(columns.size, total.dtype)
    )

"""Outputs paired with targets: one shape, one dtype, and a single value per example at the end.

Outputs [B, 1] against targets [B] would broadcast to [B, B] without a word, and the network would
learn the mean of the targets. Every loss of an error therefore pairs its arguments here first.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import compute_dtype
from jaxopt_notes.numerics import mean_product


def pair(where: str, outputs: ArrayLike, targets: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Both arrays in one dtype of at least float32, if their shapes are equal.

    Arguments:
        where: name of the loss, for the message.
        outputs, targets: arrays of one shape.

    Raises:
        ValueError: the shapes differ; the message says what to write instead.

    Example:
        >>> pair("mean_squared_error", jnp.zeros((8, 1)), jnp.zeros(8))
        Traceback (most recent call last):
        ValueError: mean_squared_error(targets) has shape (8,), expected that of the outputs, (8, 1): ...
    """
    outputs, targets = jnp.asarray(outputs), jnp.asarray(targets)
    if outputs.shape != targets.shape:
        raise ValueError(
            f"{where}(targets) has shape {targets.shape}, expected that of the outputs, "
            f"{outputs.shape}: {_remedy(outputs.shape, targets.shape)}."
        )
    kind = compute_dtype(outputs, targets)
    return outputs.astype(kind), targets.astype(kind)


def _remedy(outputs: tuple, targets: tuple) -> str:
    if outputs == (*targets, 1):
        return "pass outputs[..., 0], or targets[..., None]"
    if targets == (*outputs, 1):
        return "pass targets[..., 0], or outputs[..., None]"
    return "nothing is broadcast, reshape one of them"


def per_example(
    values: jax.Array, outputs: ArrayLike, reduce: Callable[..., jax.Array] = jnp.mean
) -> jax.Array:
    """Reduce every axis but the first, and return to the dtype of the outputs.

    Example:
        >>> per_example(jnp.array([[1.0, 3.0], [5.0, 7.0]]), jnp.zeros((2, 2)))
        Array([2., 6.], dtype=float32)
    """
    return as_outputs(reduce(values, axis=tuple(range(1, values.ndim))), outputs)


def mean_product_of_each(a: jax.Array, b: jax.Array, outputs: ArrayLike) -> jax.Array:
    """The mean of a·b over every axis but the first, in the dtype of the outputs.

    Right wherever it can be represented, even if a single product, or the sum of all, cannot.

    Example:
        >>> mean_product_of_each(jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2)))
        Array([5.5], dtype=float32)
    """
    return as_outputs(mean_product(a, b, tuple(range(1, a.ndim))), outputs)


def as_outputs(values: jax.Array, outputs: ArrayLike) -> jax.Array:
    """Values in the dtype of the outputs, where that is a floating-point one."""
    dtype = jnp.asarray(outputs).dtype
    return values.astype(dtype) if jnp.issubdtype(dtype, jnp.floating) else values

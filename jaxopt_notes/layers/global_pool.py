"""Global pooling: the mean or the largest value of each channel over the whole of an image.

Where a network ends with it instead of `flatten`, its parameters do not depend on the size of the images.
Of equal largest values the first in row-major order receives the gradient, as in `max_pool`.
"""

import math

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.layers.layer import WithoutParameters, floating
from jaxopt_notes.record import record

__all__ = ["GlobalAveragePool", "GlobalMaxPool", "global_average_pool", "global_max_pool"]


@record
class GlobalAveragePool(WithoutParameters):
    """See `global_average_pool`."""

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = _flat("global_average_pool", floating(x))
        return jnp.mean(x.astype(compute_dtype(x)), axis=1).astype(x.dtype), state


@record
class GlobalMaxPool(WithoutParameters):
    """See `global_max_pool`."""

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = _flat("global_max_pool", floating(x))
        first = jnp.argmax(x, axis=1, keepdims=True)
        return jnp.take_along_axis(x, first, axis=1)[:, 0], state


def _flat(name: str, x: jax.Array) -> jax.Array:
    if x.ndim < 3:
        raise ValueError(
            f"{name}(x) has shape {x.shape}, expected [batch, height, width, channels] or alike."
        )
    return x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])


def global_average_pool() -> GlobalAveragePool:
    """The mean of each channel over all of space.

        y[b, c] = 1/(H·W)·Σ_{p,q} x[b, p, q, c]

    Returns:
        A `GlobalAveragePool` record, from [B, H, W, C] to [B, C]; of signals and volumes too.

    Raises:
        ValueError: an input without an axis of space.

    Example:
        >>> global_average_pool().apply({}, (), jnp.arange(8.0).reshape(1, 2, 2, 2))[0]
        Array([[3., 4.]], dtype=float32)

    Source: Lin, Chen & Yan 2014, section 3.2.

    Elsewhere: torch's `AdaptiveAvgPool2d(1)` keeps axes of length 1, Keras' `GlobalAveragePooling2D` not.
    """
    return GlobalAveragePool()


def global_max_pool() -> GlobalMaxPool:
    """The largest value of each channel over all of space.

        y[b, c] = max_{p,q} x[b, p, q, c]

    Returns:
        A `GlobalMaxPool` record, from [B, H, W, C] to [B, C]; of signals and volumes too.

    Raises:
        ValueError: an input without an axis of space.

    Example:
        >>> global_max_pool().apply({}, (), jnp.arange(8.0).reshape(1, 2, 2, 2))[0]
        Array([[6., 7.]], dtype=float32)

    Elsewhere: torch's `AdaptiveMaxPool2d(1)` keeps axes of length 1; Keras' `GlobalMaxPooling2D` does not.
    """
    return GlobalMaxPool()

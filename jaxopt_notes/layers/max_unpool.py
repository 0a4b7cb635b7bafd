"""Unpooling: every value goes back to where it was the largest of its window, among zeros.

`max_pool_switches` keeps where each maximum stood, and `max_unpool`, further up in a decoder, puts values
there. It is the transpose of the pooling at those places. Without switches it puts them at the first pixel
of each window.
"""

import functools
import math

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.layer import (
    WithoutParameters,
    check_padding,
    check_space,
    floating,
    per_dimension,
    window_pads,
    window_size,
)
from jaxopt_notes.layers.pooling import Pads, shifted
from jaxopt_notes.record import record, static

__all__ = ["MaxUnpool", "max_pool_switches", "max_unpool", "unpool"]


@record
class MaxUnpool(WithoutParameters):
    """See `max_unpool`."""

    window: tuple[int, ...] = static()
    strides: tuple[int, ...] = static()

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: jax.Array,
        *,
        switches: jax.Array | None = None,
        size: tuple[int, ...] | None = None,
        key: jax.Array | None = None,
        train: bool = False,
    ) -> tuple[jax.Array, Tree]:
        check_space("max_unpool(x)", x, len(self.window))
        x, space = floating(x), x.shape[1:-1]
        if size is None:
            size = tuple((n - 1) * s + k for n, s, k in zip(space, self.strides, self.window, strict=True))
        if switches is None:
            corners = (jnp.arange(n) * s for n, s in zip(space, self.strides, strict=True))
            first = jnp.ravel_multi_index(jnp.meshgrid(*corners, indexing="ij"), size, mode="clip")
            switches = jnp.broadcast_to(first[None, ..., None], x.shape)
        return unpool(x, switches, size), state


def max_pool_switches(
    x: jax.Array,
    window: int | tuple[int, ...] = 2,
    strides: int | tuple[int, ...] | None = None,
    padding: str | Pads = "VALID",
) -> tuple[jax.Array, jax.Array]:
    """Max pooling and where each maximum stood: both [B, H', W', C], the places counted row by row in H·W.

    The arguments are those of `max_pool`. Of equal largest values it is the first.

    Example:
        >>> y, switches = max_pool_switches(jnp.arange(16.0).reshape(1, 4, 4, 1))
        >>> switches[0, :, :, 0]
        Array([[ 5,  7],
               [13, 15]], dtype=int32)
    """
    window = window_size("max_pool_switches(window)", window)
    strides = window if strides is None else per_dimension("max_pool_switches(strides)", strides, len(window))
    check_space("max_pool_switches(x)", x, len(window))
    x = floating(x)
    padding = check_padding("max_pool_switches(padding)", padding, len(window))
    pads = ((0, 0), *window_pads("max_pool_switches(window)", x, window, strides, padding), (0, 0))
    size = x.shape[1:-1]
    places = jnp.arange(math.prod(size)).reshape(1, *size, 1)
    y, switches = jnp.pad(x, pads, constant_values=-jnp.inf), jnp.pad(places, pads)

    def first_largest(a: tuple, b: tuple) -> tuple:
        keep = (a[0] >= b[0]) | jnp.isnan(a[0])
        return jnp.where(keep, a[0], b[0]), jnp.where(keep, a[1], b[1])

    for axis in reversed(range(1, x.ndim - 1)):
        how = axis, window[axis - 1], strides[axis - 1]
        y, switches = functools.reduce(
            first_largest, zip(shifted(y, *how), shifted(switches, *how), strict=True)
        )
    return y, switches


def unpool(y: jax.Array, switches: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Zeros [B, *size, C] with the values of y [B, ..., C] at the places `switches`, counted row by row.

    Where windows overlap and share a maximum, its values are added: the transpose of the pooling.

    Example:
        >>> y, switches = max_pool_switches(jnp.arange(4.0).reshape(1, 2, 2, 1))
        >>> unpool(y, switches, (2, 2))[0, :, :, 0]
        Array([[0., 0.],
               [0., 3.]], dtype=float32)
    """
    batch, channels = y.shape[0], y.shape[-1]
    flat = jnp.zeros((batch, math.prod(size), channels), y.dtype)
    here = switches.reshape(batch, -1, channels)
    index = jnp.arange(batch)[:, None, None], here, jnp.arange(channels)[None, None]
    return flat.at[index].add(y.reshape(here.shape)).reshape(batch, *size, channels)


def max_unpool(window: int | tuple[int, ...] = 2, strides: int | tuple[int, ...] | None = None) -> MaxUnpool:
    """Every value put back where it was the largest of its window, and zeros elsewhere.

        y[b, switches[b, p, c], c] += x[b, p, c]

    Arguments:
        window, strides: of the pooling that it undoes, as in `max_pool`.

    Returns:
        A `MaxUnpool` record, from [B, H', W', C] to [B, s·(H' − 1) + h, t·(W' − 1) + w, C]. Its `apply` takes
        two arguments more: `switches`, from `max_pool_switches`, by default the first pixel of each window;
        and `size`, (H, W), of the image before pooling, where that has pixels in no window.

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1, an input of another rank.

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> y, switches = max_pool_switches(x)
        >>> max_unpool().apply({}, (), y, switches=switches)[0][0, :, :, 0]
        Array([[ 0.,  0.,  0.,  0.],
               [ 0.,  5.,  0.,  7.],
               [ 0.,  0.,  0.,  0.],
               [ 0., 13.,  0., 15.]], dtype=float32)

    Source: Zeiler & Fergus 2014, section 2.1; without switches Dosovitskiy et al. 2015, section 3.2.

    Elsewhere: torch's `MaxUnpool2d` takes the same places; of values that share one it keeps any.
    """
    sizes = window_size("max_unpool(window)", window)
    steps = sizes if strides is None else per_dimension("max_unpool(strides)", strides, len(sizes))
    return MaxUnpool(sizes, steps)

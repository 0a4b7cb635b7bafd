"""Pixel shuffle: channels become pixels, and back.

A convolution at low resolution with r² times the channels, shuffled, is a transposed convolution at the price
of the convolution. It is a permutation: no value is changed or lost, and `pixel_unshuffle` undoes it.
"""

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.layer import WithoutParameters, check_space, floating
from jaxopt_notes.record import check_count, record, static

__all__ = ["PixelShuffle", "PixelUnshuffle", "pixel_shuffle", "pixel_unshuffle"]


@record
class PixelShuffle(WithoutParameters):
    """See `pixel_shuffle`."""

    factor: int = static()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_space("pixel_shuffle(x)", x, 2)
        (batch, high, wide, channels), r = x.shape, self.factor
        if channels % r**2:
            raise ValueError(
                f"pixel_shuffle(x) has {channels} channels, expected a multiple of {r}² = {r**2}."
            )
        blocks = floating(x).reshape(batch, high, wide, channels // r**2, r, r)
        return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(batch, high * r, wide * r, channels // r**2), state


@record
class PixelUnshuffle(WithoutParameters):
    """See `pixel_unshuffle`."""

    factor: int = static()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_space("pixel_unshuffle(x)", x, 2)
        (batch, high, wide, channels), r = x.shape, self.factor
        if high % r or wide % r:
            raise ValueError(f"pixel_unshuffle(x) has {high}×{wide} pixels, expected multiples of {r}.")
        blocks = floating(x).reshape(batch, high // r, r, wide // r, r, channels)
        return blocks.transpose(0, 1, 3, 5, 2, 4).reshape(batch, high // r, wide // r, channels * r**2), state


def pixel_shuffle(factor: int = 2) -> PixelShuffle:
    """Channels become pixels: each r² of them a block of r×r.

        y[b, r·p + i, r·q + j, c] = x[b, p, q, c·r² + i·r + j]

    Arguments:
        factor: r, ≥ 1.

    Returns:
        A `PixelShuffle` record, from [B, H, W, C·r²] to [B, r·H, r·W, C].

    Raises:
        TypeError, ValueError: a factor that is no whole number ≥ 1, channels that r² does not divide, an
            input that is not of rank 4.

    Example:
        >>> import jax.numpy as jnp
        >>> pixel_shuffle(2).apply({}, (), jnp.arange(4.0).reshape(1, 1, 1, 4))[0][0, :, :, 0]
        Array([[0., 1.],
               [2., 3.]], dtype=float32)

    Source: Shi et al. 2016, equation 4.

    Elsewhere: torch's `PixelShuffle` is the same; TensorFlow's `depth_to_space` has (i·r + j)·C + c.
    """
    return PixelShuffle(check_count("pixel_shuffle(factor)", factor, 1))


def pixel_unshuffle(factor: int = 2) -> PixelUnshuffle:
    """Blocks of r×r pixels become channels: the inverse of `pixel_shuffle`.

        y[b, p, q, c·r² + i·r + j] = x[b, r·p + i, r·q + j, c]

    Arguments:
        factor: r, ≥ 1.

    Returns:
        A `PixelUnshuffle` record, from [B, H, W, C] to [B, H/r, W/r, C·r²].

    Raises:
        TypeError, ValueError: a factor that is no whole number ≥ 1, sizes that r does not divide, an input
            that is not of rank 4.

    Example:
        >>> import jax.numpy as jnp
        >>> pixel_unshuffle(2).apply({}, (), jnp.arange(4.0).reshape(1, 2, 2, 1))[0].ravel()
        Array([0., 1., 2., 3.], dtype=float32)

    Elsewhere: torch's `PixelUnshuffle` is the same.
    """
    return PixelUnshuffle(check_count("pixel_unshuffle(factor)", factor, 1))

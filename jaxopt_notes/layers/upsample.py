"""Upsampling: an image made larger by interpolation between its pixels.

Interpolation is linear in the image and separable: along each axis one matrix of weights, two in a row, is
multiplied. `bilinear` follows the pixels' areas, so that an image has the same extent before and after: pixel
i of the larger one lies at (i + ½)/r − ½ of the smaller, clamped to its border.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.layers.layer import WithoutParameters, check_space, floating, window_size
from jaxopt_notes.record import check_choice, record, static

__all__ = ["Upsample", "upsample"]


@record
class Upsample(WithoutParameters):
    """See `upsample`."""

    factor: tuple[int, ...] = static()
    method: str = static()
    align_corners: bool = static()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_space("upsample(x)", x, len(self.factor))
        x = floating(x)
        if self.method == "nearest":
            for axis, factor in enumerate(self.factor, 1):
                x = jnp.repeat(x, factor, axis=axis, total_repeat_length=x.shape[axis] * factor)
            return x, state
        sizes = zip(x.shape[1:-1], self.factor, strict=True)
        return weigh(x, [_interpolation(n, n * factor, self.align_corners) for n, factor in sizes]), state


def _interpolation(n: int, m: int, align_corners: bool) -> np.ndarray:
    """The weights [m, n] of n pixels in m that lie between them."""
    i = np.arange(m)
    places = i * (n - 1) / max(m - 1, 1) if align_corners else np.clip((i + 0.5) * n / m - 0.5, 0, n - 1)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(n)), 0)


def weigh(x: jax.Array, matrices: Sequence[np.ndarray]) -> jax.Array:
    """x [B, *size, C] times a matrix [m, n] along each axis of space, in at least float32."""
    wide = x.astype(compute_dtype(x))
    for axis, matrix in enumerate(matrices, 1):
        product = jnp.tensordot(jnp.asarray(matrix, wide.dtype), wide, axes=(1, axis), precision="highest")
        wide = jnp.moveaxis(product, 0, axis)
    return wide.astype(x.dtype)


def upsample(
    factor: int | tuple[int, ...] = 2, method: str = "bilinear", align_corners: bool = False
) -> Upsample:
    """An image made larger by a whole factor.

        y[b, i, j, c] = Σ_{p,q} max(0, 1 − |(i + ½)/r − ½ − p|)·max(0, 1 − |(j + ½)/r − ½ − q|)·x[b, p, q, c]

    Arguments:
        factor: r, of height and width, or one number for both; (r,) for signals, three for volumes.
        method: "bilinear" (linear along each axis, whatever their number), or "nearest", which repeats
            every pixel r times.
        align_corners: whether the pixels at the corners of both images are the same: y's pixel i then lies at
            i·(H − 1)/(r·H − 1) of x.

    Returns:
        An `Upsample` record, from [B, H, W, C] to [B, r·H, r·W, C].

    Raises:
        TypeError, ValueError: factors that are not whole numbers ≥ 1, an unknown method; an input of another
            rank.

    Example:
        >>> signal = jnp.array([0.0, 4.0]).reshape(1, 2, 1)
        >>> upsample((2,)).apply({}, (), signal)[0].ravel()
        Array([0., 1., 3., 4.], dtype=float32)

    Source: Long, Shelhamer & Darrell 2015, section 3.3.

    Elsewhere: torch's `Upsample(mode="bilinear")` is the same, with and without aligned corners; so are
    `jax.image.resize(method="linear")` and Keras' `UpSampling2D(interpolation="bilinear")` without.
    """
    return Upsample(
        window_size("upsample(factor)", factor),
        check_choice("upsample(method)", method, ("bilinear", "nearest")),
        align_corners,
    )

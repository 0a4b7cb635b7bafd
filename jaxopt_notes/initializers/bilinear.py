"""Bilinear interpolation as the kernel of a transposed convolution: learned upsampling starts as a plain one.

With stride s and a kernel of 2s − s mod 2 pixels each way, each channel is upsampled by itself.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.record import record

__all__ = ["Bilinear", "bilinear"]


@record
class Bilinear:
    """See `bilinear`."""

    def __call__(self, key: Any, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        if len(shape) < 2:
            raise ValueError(f"bilinear()(shape) is {tuple(shape)}, expected a kernel's shape, (…, in, out).")
        weights = np.ones(())
        for size in shape[:-2]:
            weights = weights[..., None] * triangle(size)
        each = np.ones((1, shape[-1])) if shape[-2] == 1 else np.eye(shape[-2], shape[-1])
        return jnp.asarray(weights[..., None, None] * each, dtype)


def triangle(size: int) -> np.ndarray:
    """Weights that fall off linearly from the middle of some pixels, for a factor of ⌈size/2⌉.

    Example:
        >>> triangle(4)
        array([0.25, 0.75, 0.75, 0.25])
    """
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    return 1 - np.abs(np.arange(size) - centre) / factor


def bilinear() -> Bilinear:
    """The kernel of bilinear upsampling, for a transposed convolution.

        W[m, n, i, o] = t(m)·t(n) if i = o, else 0            t(m) = 1 − |m − c|/f,  f = ⌈size/2⌉

    Returns:
        A `Bilinear` record, called `(key, shape, dtype=float32)` for shapes (…, in, out) of any number
        of spatial axes; it ignores the key. With one input channel (depthwise kernels) all outputs have it.

    Raises:
        ValueError: when called, a shape of rank below 2.

    Example:
        >>> bilinear()(None, (4, 1, 1)).ravel()
        Array([0.25, 0.75, 0.75, 0.25], dtype=float32)

    Source: Long, Shelhamer & Darrell 2015, section 4.3; c = f − 1 for an odd size, f − ½ for an even one.

    Elsewhere: Caffe's filler "bilinear"; torch and Flax have none.
    """
    return Bilinear()

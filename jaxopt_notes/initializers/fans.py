"""Fans: how many inputs a unit sums over, and how many outputs an input feeds.

Every initializer that keeps variances constant over depth divides by one of them. They are a
property of the shape alone, so they are computed in Python, before any population axis: under
`jax.vmap` the shape is that of one member.
"""

import math
from collections.abc import Sequence

__all__ = ["fans"]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Fan-in and fan-out of a kernel.

        dense (in, out):            fan_in = in                fan_out = out
        convolution (H, W, in, out): fan_in = H·W·in           fan_out = H·W·out

    Arguments:
        shape: of rank ≥ 2; the last two axes are input and output channels, all before them the
            receptive field (HWIO, and the same with one or three spatial axes). For a grouped
            convolution `in` is the channels per group, so fan_in stays what one output sums over.

    Returns:
        `(fan_in, fan_out)` as Python integers.

    Raises:
        ValueError: the rank is below 2, where inputs and outputs cannot be told apart.

    Example:
        >>> fans((128, 64))
        (128, 64)
        >>> fans((3, 3, 16, 32))
        (144, 288)

    Source: Glorot & Bengio 2010, section 4.2; He et al. 2015, section 2.2. The study notes write n̂ =
    h·w·d with d the number of kernels: that is the fan-out, which keeps the variance of gradients; the
    fan-in, with input channels, keeps that of activations.

    Elsewhere: torch stores (out, in, H, W) and gets the same numbers from its own layout.
    """
    shape = tuple(shape)
    if len(shape) < 2:
        raise ValueError(
            f"fans(shape) is {shape}, expected a shape of rank 2 or more (in, out) or (…, in, out): "
            "a bias or a scale has no fans, initialize it with zeros, ones, constant or normal."
        )
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]

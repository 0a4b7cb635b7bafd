"""Local response normalization: channels at one pixel inhibit their neighbours.

What AlexNet had before batch normalization. The denominator is at least k^β, so nothing is divided by 0.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.layers.layer import WithoutParameters, floating
from jaxopt_notes.record import Number, check_count, check_number, record, static

__all__ = ["LocalResponseNorm", "local_response_norm"]


@record
class LocalResponseNorm(WithoutParameters):
    """See `local_response_norm`."""

    size: int = static()
    alpha: Number
    beta: Number
    k: Number

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        wide = x.astype(compute_dtype(x))
        alpha, beta, k = (as_hyperparameter(n).astype(wide.dtype) for n in (self.alpha, self.beta, self.k))
        y = wide * (k + alpha * neighbours(jnp.square(wide), self.size)) ** -beta
        return y.astype(x.dtype), state


def neighbours(x: jax.Array, size: int) -> jax.Array:
    """The sum of each value and its neighbours on the last axis, `size` in all; beyond the ends is nothing.

    Example:
        >>> neighbours(jnp.array([1.0, 10.0, 100.0]), 3)
        Array([ 11., 111., 110.], dtype=float32)
    """
    before = size // 2
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, size - 1 - before)])
    channels = x.shape[-1]
    total = padded[..., :channels]
    for shift in range(1, size):
        total = total + padded[..., shift : shift + channels]
    return total


def local_response_norm(
    size: int = 5, alpha: Number = 1e-4, beta: Number = 0.75, k: Number = 2.0
) -> LocalResponseNorm:
    """Local response normalization over neighbouring channels, the last axis.

        yᵢ = xᵢ/(k + α·Σⱼ xⱼ²)^β            j from i − ⌊size/2⌋, `size` channels

    Arguments:
        size: of the neighbourhood, the channel itself included; an even one reaches further down than up.
        alpha, beta: α and β, ≥ 0.
        k: > 0.

    Returns:
        A `LocalResponseNorm` record, without parameters.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> layer = local_response_norm(3, alpha=1.0, beta=1.0)
        >>> layer.apply({}, (), jnp.array([[1.0, 1.0, 1.0]]))[0]
        Array([[0.25, 0.2 , 0.25]], dtype=float32)

    Source: Krizhevsky, Sutskever & Hinton 2012, section 3.3, whose constants are the defaults.

    Elsewhere: torch divides α by the size, and its k is 1; TensorFlow names the half width
    (`depth_radius`), and its α is 1.
    """
    return LocalResponseNorm(
        check_count("local_response_norm(size)", size, 1),
        check_number("local_response_norm(alpha)", alpha, "[0, inf)"),
        check_number("local_response_norm(beta)", beta, "[0, inf)"),
        check_number("local_response_norm(k)", k, "(0, inf)", "it keeps the denominator from 0"),
    )

"""Adaptive pooling: the windows are as large as it takes to make an output of a given size.

Along an axis of n pixels, window i of m begins at ⌊i·n/m⌋ and ends before ⌈(i+1)·n/m⌉: where m divides n
these are windows side by side, else they differ by a pixel and some overlap. Both means and maxima are
separable, so they are taken along one axis after the other.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.layer import WithoutParameters, check_space, floating, window_size
from jaxopt_notes.layers.upsample import weigh
from jaxopt_notes.record import record, static

__all__ = ["AdaptiveAveragePool", "AdaptiveMaxPool", "adaptive_average_pool", "adaptive_max_pool"]


@record
class AdaptiveAveragePool(WithoutParameters):
    """See `adaptive_average_pool`."""

    size: tuple[int, ...] = static()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_space("adaptive_average_pool(x)", x, len(self.size))
        x, matrices = floating(x), []
        for n, m in zip(x.shape[1:-1], self.size, strict=True):
            start, stop = _windows(n, m)
            within = (start[:, None] <= np.arange(n)) & (np.arange(n) < stop[:, None])
            matrices.append(within / (stop - start)[:, None])
        return weigh(x, matrices), state


@record
class AdaptiveMaxPool(WithoutParameters):
    """See `adaptive_max_pool`."""

    size: tuple[int, ...] = static()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_space("adaptive_max_pool(x)", x, len(self.size))
        x = floating(x)
        for axis in reversed(range(1, x.ndim - 1)):
            start, stop = _windows(x.shape[axis], self.size[axis - 1])
            x = largest(x, axis, jnp.asarray(start), jnp.asarray(stop), int((stop - start).max()))
        return x, state


def _windows(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the m windows over n pixels begin, and before which pixel they end."""
    i = np.arange(m)
    return i * n // m, -(-(i + 1) * n // m)


def largest(x: jax.Array, axis: int, start: jax.Array, stop: jax.Array, longest: int) -> jax.Array:
    """The largest value in windows [start, stop) along an axis, none of more than `longest` pixels.

    Of equal values the first receives the gradient: the last pixel stands in for those after a window's end.
    """
    places = jnp.minimum(start[:, None] + jnp.arange(longest)[None], stop[:, None] - 1)
    x = jnp.take(x, places, axis=axis)
    first = jnp.argmax(x, axis=axis + 1, keepdims=True)
    return jnp.take_along_axis(x, first, axis=axis + 1).squeeze(axis + 1)


def adaptive_average_pool(size: int | tuple[int, ...]) -> AdaptiveAveragePool:
    """The means of windows that are as large as it takes to make an output of a given size.

        y[b, i, j, c] = mean of x[b, p, q, c] over ⌊i·H/m⌋ ≤ p < ⌈(i+1)·H/m⌉ and the same for q

    Arguments:
        size: (m, n), the output's height and width in pixels, or one number for both; (m,) for signals,
            three numbers for volumes.

    Returns:
        An `AdaptiveAveragePool` record, from [B, H, W, C] to [B, m, n, C].

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1, an input of another rank.

    Example:
        >>> adaptive_average_pool((2,)).apply({}, (), jnp.arange(3.0).reshape(1, 3, 1))[0].ravel()
        Array([0.5, 1.5], dtype=float32)

    Elsewhere: torch's `AdaptiveAvgPool2d` is the same; Flax and Keras have none.
    """
    return AdaptiveAveragePool(window_size("adaptive_average_pool(size)", size))


def adaptive_max_pool(size: int | tuple[int, ...]) -> AdaptiveMaxPool:
    """The largest values of windows that are as large as it takes to make an output of a given size.

        y[b, i, j, c] = max of x[b, p, q, c] over ⌊i·H/m⌋ ≤ p < ⌈(i+1)·H/m⌉ and the same for q

    Arguments:
        size: (m, n), the output's height and width in pixels, or one number for both; (m,) for signals,
            three numbers for volumes.

    Returns:
        An `AdaptiveMaxPool` record, from [B, H, W, C] to [B, m, n, C].

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1, an input of another rank.

    Example:
        >>> adaptive_max_pool((2,)).apply({}, (), jnp.arange(3.0).reshape(1, 3, 1))[0].ravel()
        Array([1., 2.], dtype=float32)

    Elsewhere: torch's `AdaptiveMaxPool2d` is the same, gradients of equal values included.
    """
    return AdaptiveMaxPool(window_size("adaptive_max_pool(size)", size))

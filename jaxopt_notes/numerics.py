"""Arithmetic that is safe at the ends of the range: finite gradients at 0, squares that do not overflow.

A loss or an optimizer built from these has no NaN in its gradient where a norm, a variance or a denominator
is zero, and its value is right wherever that value itself can be represented.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.sharding import is_cut


def abs_squared(x: jax.Array) -> jax.Array:
    """|x|², real also for complex x, with a gradient everywhere."""
    return jnp.real(x * jnp.conj(x)) if jnp.iscomplexobj(x) else x * x


@jax.custom_jvp
def safe_sqrt(x: jax.Array) -> jax.Array:
    """√x whose gradient at 0 is 0 instead of infinity.

    Example:
        >>> float(jax.grad(safe_sqrt)(0.0))
        0.0
    """
    return jnp.sqrt(x)


@safe_sqrt.defjvp
def _safe_sqrt_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    positive = x > 0
    slope = jnp.where(positive, 0.5 / safe_sqrt(jnp.where(positive, x, jnp.ones_like(x))), jnp.zeros_like(x))
    return safe_sqrt(x), slope * dx


def safe_divide(x: jax.Array, y: jax.Array) -> jax.Array:
    """x / y, and 0 where y is 0, with finite gradients everywhere.

    Example:
        >>> safe_divide(jnp.array([1.0, 0.0]), jnp.array([2.0, 0.0]))
        Array([0.5, 0. ], dtype=float32)
    """
    zero = y == 0
    return jnp.where(zero, jnp.zeros_like(x), x / jnp.where(zero, jnp.ones_like(y), y))


def power_of_two(x: jax.Array) -> jax.Array:
    """The power of two next below |x|, to divide by before squaring: that changes no digit.

    Arguments:
        x: real, floating-point.

    Returns:
        The shape and dtype of x, without a gradient; 1 where x is 0 or not finite. At both ends of the
        range it stays where its reciprocal is a normal number too.

    Example:
        >>> power_of_two(jnp.array([5.0, -0.75, 0.0, jnp.inf]))
        Array([4. , 0.5, 1. , 1. ], dtype=float32)
    """
    size = jnp.abs(lax.stop_gradient(x))
    low, high = jnp.finfo(size.dtype).tiny, 2.0 ** (jnp.finfo(size.dtype).maxexp - 3)
    usable = (size > 0) & jnp.isfinite(size)
    size = jnp.clip(jnp.where(usable, size, 1), low, high)
    # x = m·2ᵉ, ½ ≤ m < 1: the quotient is exact. No product by ½: of (½·a)·(c·b) XLA may make (½·c)·(a·b),
    # and a·b may overflow.
    return size / (2 * jnp.frexp(size)[0])


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def mean_product(a: jax.Array, b: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """The mean of a·b over some axes, right wherever the mean itself can be represented.

    A product, or the sum of all of them, may leave the range where their mean does not: both factors are
    brought to the order of 1 first. The gradient is that of the plain formula, which needs no product.

    Arguments:
        a, b: real arrays of one shape and dtype.
        axis: the axes to average over.

    Example:
        >>> x = jnp.array([2.0**64, 0.0, 0.0, 0.0])
        >>> jnp.mean(x * x), mean_product(x, x, (0,)) == 2.0**126
        (Array(inf, dtype=float32), Array(True, dtype=bool))
    """
    size_a, size_b = (power_of_two(jnp.max(jnp.abs(x), axis, initial=0, keepdims=True)) for x in (a, b))
    mean = jnp.mean((a / size_a) * (b / size_b), axis)
    # The larger one first: what leaves the range half-way would have left it anyway.
    larger, smaller = jnp.maximum(size_a, size_b), jnp.minimum(size_a, size_b)
    return mean * jnp.squeeze(larger, axis) * jnp.squeeze(smaller, axis)


@mean_product.defjvp
def _mean_product_jvp(axis: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    (a, b), (da, db) = primals, tangents
    return mean_product(a, b, axis), jnp.mean(a * db + b * da, axis)


def sums_by_index(index: jax.Array, values: jax.Array, length: int) -> jax.Array:
    """The sum of the values of each index: s_k = Σ of vᵢ where indexᵢ = k.

    Added one to another, millions of numbers lose digits, and ones are not counted beyond 2²⁴ in float32. So
    blocks of entries are summed, and then their sums.

    Arguments:
        index: whole numbers in [0, length), [n].
        values: [n].
        length: static.

    Returns:
        [length] in the dtype of the values.

    Example:
        >>> sums_by_index(jnp.array([0, 2, 0]), jnp.array([1.0, 2.0, 3.0]), 3)
        Array([4., 0., 2.], dtype=float32)
    """
    n = len(index)
    block = max(4096, math.isqrt(n))
    blocks = max(1, min(-(-n // block), n // max(length, 1)))  # no more memory than the entries take
    if blocks > 1:
        index = index + jnp.arange(n, dtype=index.dtype) // (-(-n // blocks)) * length
    return jnp.zeros(blocks * length, values.dtype).at[index].add(values).reshape(blocks, length).sum(axis=0)


def precise_matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """The matrix product A·B in the full precision of its dtype, on every device.

    The default product of float32 matrices keeps three digits on GPU (TF32) and TPU (one pass of bfloat16).
    That is enough for a model, but not for algebra: a basis made with it is not orthogonal.

    Example:
        >>> print(precise_matmul(jnp.array([[1.0, 2.0]]), jnp.array([[3.0], [4.0]])))
        [[11.]]
    """
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def precise_vdot(a: jax.Array, b: jax.Array) -> jax.Array:
    """The product aᴴ·b of two vectors in the full precision of their dtype, on every device.

    Example:
        >>> print(precise_vdot(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])))
        11.0
    """
    if is_cut(a) or is_cut(b):  # each device adds up its part
        return jnp.sum(jnp.conj(a) * b)
    return jnp.vdot(a, b, precision=lax.Precision.HIGHEST)


def log_softmax(x: jax.Array, axis: int = -1) -> jax.Array:
    """log softmax(x), whose largest entry keeps its digits where it is almost 0.

        log softmax(x)ᵢ = (xᵢ − x_top) − log1p(Σ over j ≠ top of e^(xⱼ − x_top))

    The usual form adds the 1 of the largest entry to the sum and takes the logarithm: a probability of
    1 − 10⁻¹⁰ has the logarithm 0 there, and the gradient of a loss built on it is 0 too.

    Arguments:
        x: real, floating-point; computed in its own dtype.
        axis: the axis of the classes.

    Example:
        >>> print(*(f"{value:.3g}" for value in log_softmax(jnp.array([40.0, 0.0]))))
        -4.25e-18 -40
    """
    if not x.shape[axis]:
        return x
    top = jax.nn.one_hot(jnp.argmax(x, axis), x.shape[axis], axis=axis, dtype=bool)
    zero = jnp.zeros_like(x)
    shifted = x - jnp.sum(jnp.where(top, x, zero), axis, keepdims=True)
    others = jnp.sum(jnp.exp(jnp.where(top, -jnp.inf, shifted)), axis, keepdims=True)
    return jnp.where(top, zero, shifted) - jnp.log1p(others)

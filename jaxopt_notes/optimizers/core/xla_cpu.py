"""What XLA stores, what it makes anew, and in which order: hints for its CPU backend.

On GPU and TPU an update is one fusion, whatever the formula. On CPU it is one loop for each output, and
four habits of the compiler cost memory or whole copies: it stores what two loops read, unless it is cheap
to make from one operand, and then makes it anew even from an old slot that another loop has to
overwrite; it overwrites a slot before its last reader if nothing says otherwise; and it hands sums to a
library that wants their terms stored. The functions here are plain arithmetic, said in the form that
avoids that; elsewhere than on CPU they are the plain form.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import real_dtype
from jaxopt_notes.numerics import abs_squared, safe_sqrt


def anew(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """The same arrays; what is made of them is made for its own reader, and not stored for another."""
    return lax.platform_dependent(*arrays, cpu=_behind_a_barrier, default=_as_they_are)


def _behind_a_barrier(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    return lax.optimization_barrier(arrays)


def _as_they_are(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    return arrays


def after(first: jax.Array, x: jax.Array) -> jax.Array:
    """x, written when `first`, an array of no negative numbers, has been; 0 where `first` is NaN."""
    return lax.platform_dependent(first, x, cpu=_after, default=lambda first, x: x)


def _after(first: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.where(first >= 0, x, jnp.zeros_like(x))


def sum_as(dtype: DTypeLike, x: jax.Array, y: jax.Array) -> jax.Array:
    """x + y, whole numbers, as a dtype: what is read of it is read from there, not made anew."""
    return lax.platform_dependent(
        x, y, cpu=lambda x, y: x.astype(dtype) + y.astype(dtype), default=lambda x, y: (x + y).astype(dtype)
    )


def plain_norms(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """√Σ|x|² and √Σ|y|² of two arrays of one shape, of which nothing is stored; 0 has gradient 0.

    Unlike `global_norm` they overflow above 1e19 and vanish below 1e-19, so they are for steps that an
    optimizer has brought to a size of about 1.

    Example:
        >>> print(*plain_norms(jnp.array([3.0, 4.0]), jnp.array([0.0, 0.0])))
        5.0 0.0
    """
    a, b = _sums_of_squares(x, y)
    return safe_sqrt(a), safe_sqrt(b)


@jax.custom_jvp
def _sums_of_squares(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    return lax.platform_dependent(x, y, cpu=_in_one_pass, default=_one_by_one)


@_sums_of_squares.defjvp
def _sums_of_squares_jvp(primals: tuple, tangents: tuple) -> tuple:
    slopes = [2 * jnp.sum(jnp.real(jnp.conj(x) * dx)) for x, dx in zip(primals, tangents, strict=True)]
    return _sums_of_squares(*primals), tuple(slopes)


def _in_one_pass(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    zero = jnp.zeros((), real_dtype(x.dtype))
    add = lambda a, b: (a[0] + b[0], a[1] + b[1])  # noqa: E731
    sums: Any = lax.reduce((abs_squared(x), abs_squared(y)), (zero, zero), add, tuple(range(x.ndim)))
    return tuple(sums)


def _one_by_one(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.sum(abs_squared(x)), jnp.sum(abs_squared(y))

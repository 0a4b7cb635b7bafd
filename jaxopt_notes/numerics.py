"""Arithmetic that is safe to differentiate: squares, roots and quotients with finite gradients at 0.

A loss or an optimizer built of them has no NaN in its gradient where a norm, a variance or a denominator is
zero.
"""

import jax
import jax.numpy as jnp


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

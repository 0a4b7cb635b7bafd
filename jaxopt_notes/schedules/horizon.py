"""Time as schedules measure it: what share of a horizon has passed, or how many horizons.

A horizon is a number like any other: it may be traced, batched and differentiated. A horizon of 0
switches the change off, as in optax, so that a schedule stays at its first value; no division by it
is ever made, neither forwards nor in a gradient.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number


def numbers(*values: Number) -> tuple[jax.Array, ...]:
    """The step and the fields of a schedule in one dtype: float32, float64 under x64."""
    return tuple(as_hyperparameter(value) for value in values)


def horizons(step: Any, horizon: Number) -> jax.Array:
    """How many horizons have passed: t/T, growing without end; 0 where T is 0.

    Example:
        >>> float(horizons(15, 10))
        1.5
    """
    t, T = numbers(step, horizon)
    return jnp.where(T > 0, t / jnp.where(T > 0, T, 1), 0)


def whole_horizons(step: Any, horizon: Number) -> jax.Array:
    """How many whole horizons have passed: ⌊t/T⌋, exact also where t/T rounds; 0 where T is 0.

    Example:
        >>> float(whole_horizons(15, 10))
        1.0
    """
    t, T = jax.lax.stop_gradient(numbers(step, horizon))  # a staircase: its slope is 0
    return jnp.where(T > 0, jnp.floor_divide(t, jnp.where(T > 0, T, 1)), 0)


def fraction(step: Any, horizon: Number) -> jax.Array:
    """The share of a horizon that has passed: t/T held within [0, 1]; 0 where T is 0.

    Example:
        >>> [float(fraction(step, 10)) for step in (-5, 5, 15)]
        [0.0, 0.5, 1.0]
    """
    return jnp.clip(horizons(step, horizon), 0, 1)


def power(base: jax.Array, exponent: jax.Array) -> jax.Array:
    """baseᵖ for base ≥ 0, whose gradient at base 0 is 0 instead of infinity; 0⁰ is 1."""
    positive = base > 0
    return jnp.where(positive, jnp.where(positive, base, 1) ** exponent, jnp.where(exponent == 0, 1.0, 0.0))

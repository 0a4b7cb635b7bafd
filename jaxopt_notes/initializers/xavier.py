"""Xavier (Glorot) initialization: a compromise between the variance of activations and of gradients.

A linear layer keeps the variance of activations if Var(w) = 1/n_in, and that of gradients if
Var(w) = 1/n_out. Xavier divides by the average of both and keeps them exactly where n_in = n_out. It
counts on activations that are linear near 0 and symmetric, such as tanh and softsign. ReLU halves
E[x²], so with it activations shrink by 1/√2 a layer (see `he_normal`); under sigmoid, whose slope is
¼, what differs between samples shrinks by four.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.initializers.variance_scaling import VarianceScaling
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["Xavier", "xavier_normal", "xavier_uniform"]


@record
class Xavier:
    """See `xavier_normal` and `xavier_uniform`."""

    gain: Number
    distribution: str = static()

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        scale = jnp.square(as_hyperparameter(self.gain))
        return VarianceScaling(scale, "fan_avg", self.distribution)(key, shape, dtype)


def xavier_normal(gain: Number = 1.0) -> Xavier:
    """Xavier (Glorot) initialization with normal draws.

        W ~ N(0, gain²·2/(fan_in + fan_out))

    Arguments:
        gain: > 0; what the activation takes away: 1 for tanh and softsign, 4 for sigmoid.

    Returns:
        A `Xavier` record, called `(key, shape, dtype=float32)`.

    Raises:
        ValueError: a gain that is not positive; when called, a shape of rank below 2.

    Example:
        >>> kernel = xavier_normal()(jax.random.key(0), (300, 500))
        >>> print(f"{kernel.std():.2f}")
        0.05

    Source: Glorot & Bengio 2010, eq. 12. The study notes say that
    without it the variance grows; it grows or shrinks, by n·Var(w) a layer.

    Elsewhere: the same in torch; JAX, Flax and Keras draw from a truncated normal of the same variance.
    """
    return Xavier(check_number("xavier_normal(gain)", gain, "(0, inf)"), "normal")


def xavier_uniform(gain: Number = 1.0) -> Xavier:
    """Xavier (Glorot) initialization with uniform draws.

        W ~ U(−b, b)            b = gain·√(6/(fan_in + fan_out))

    Arguments:
        gain: > 0; as in `xavier_normal`.

    Returns:
        A `Xavier` record, called `(key, shape, dtype=float32)`.

    Raises:
        ValueError: a gain that is not positive; when called, a shape of rank below 2.

    Example:
        >>> kernel = xavier_uniform()(jax.random.key(0), (100, 500))
        >>> print(f"{abs(kernel).max():.2f}")
        0.10

    Source: Glorot & Bengio 2010, eq. 16.

    Elsewhere: the same in torch, JAX, Flax and Keras.
    """
    return Xavier(check_number("xavier_uniform(gain)", gain, "(0, inf)"), "uniform")

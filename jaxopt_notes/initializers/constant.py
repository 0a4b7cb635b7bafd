"""Constants: right for biases and scales, and for the weights of a single layer.

With two or more layers, equal weights stay equal: all units of a hidden layer compute the same and
receive the same gradient. With tanh or ReLU and all weights zero, nothing but the last bias ever moves.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record

__all__ = ["Constant", "constant", "ones", "zeros"]


@record
class Constant:
    """See `constant`."""

    value: Number

    def __call__(self, key: Any, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        return jnp.full(shape, as_hyperparameter(self.value).astype(dtype))


def constant(value: Number = 0.0) -> Constant:
    """The same value everywhere.

        W = value

    Arguments:
        value: a number.

    Returns:
        A `Constant` record, called `(key, shape, dtype=float32)`; it ignores the key, which may be None.

    Raises:
        TypeError: an argument is not a number.

    Example:
        >>> constant(0.1)(None, (2,))
        Array([0.1, 0.1], dtype=float32)

    Source: Goodfellow, Bengio & Courville 2016, section 8.4 (a constant other than zero breaks symmetry
    no better than zero).
    """
    return Constant(check_number("constant(value)", value))


def zeros() -> Constant:
    """Zeros: for biases, and for the weights of a model with one layer only.

        W = 0

    Returns:
        A `Constant` record of value 0.

    Example:
        >>> zeros()(None, (3,))
        Array([0., 0., 0.], dtype=float32)

    Source: the study notes. They say all-zero weights learn as one unit; that is so
    with sigmoid, whose output at 0 is ½. With tanh or ReLU the hidden layers never learn at all.

    Elsewhere: `jax.nn.initializers.zeros` is itself the initializer; `flax.linen.zeros_init()` is
    called first, as here.
    """
    return Constant(0.0)


def ones() -> Constant:
    """Ones: for the scales of normalization layers.

        W = 1

    Returns:
        A `Constant` record of value 1.

    Example:
        >>> ones()(None, (3,))
        Array([1., 1., 1.], dtype=float32)

    Source: Ioffe & Szegedy 2015 (γ = 1).
    """
    return Constant(1.0)

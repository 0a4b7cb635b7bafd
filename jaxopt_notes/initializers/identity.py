"""The identity: a layer that at first passes on what it gets.

Of a matrix (where it is not square, what does not fit is cut off or zero), or of a convolution, whose
middle pixel alone is not zero. Scaled down, with ReLU, it makes recurrent networks that remember (IRNN).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record

__all__ = ["Identity", "identity"]


@record
class Identity:
    """See `identity`."""

    scale: Number

    def __call__(self, key: Any, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        return in_the_middle(
            as_hyperparameter(self.scale) * jnp.eye(*_matrix("identity", shape)), shape, dtype
        )


def _matrix(name: str, shape: Sequence[int]) -> tuple[int, int]:
    """The last two axes of a shape: inputs and outputs."""
    if len(shape) < 2:
        raise ValueError(
            f"{name}()(shape) is {tuple(shape)}, expected a shape of rank 2 or more, (…, in, out): "
            "a bias has no matrix, initialize it with zeros."
        )
    return shape[-2], shape[-1]


def in_the_middle(matrix: jax.Array, shape: Sequence[int], dtype: DTypeLike) -> jax.Array:
    """A kernel that is a matrix [I, O] at its middle pixel and zero elsewhere: at n // 2 where n is even."""
    middle = tuple(n // 2 for n in shape[:-2])
    kernel = jnp.zeros(tuple(shape), dtype)
    return kernel.at[middle].set(matrix.astype(dtype)) if 0 not in shape else kernel


def identity(scale: Number = 1.0) -> Identity:
    """The identity, of a matrix or of a convolution.

        W[m, i, o] = scale if i = o and m is the middle pixel, else 0

    Arguments:
        scale: on the diagonal.

    Returns:
        An `Identity` record, called `(key, shape, dtype=float32)`; it ignores the key. Of an even kernel
        the middle is that which "SAME" padding in torch's manner has there, n // 2.

    Raises:
        ValueError: when called, a shape of rank below 2. TypeError: an argument is not a number.

    Example:
        >>> identity(2.0)(None, (2, 3))
        Array([[2., 0., 0.],
               [0., 2., 0.]], dtype=float32)

    Source: Le, Jaitly & Hinton 2015.

    Elsewhere: torch's `eye_` and `dirac_`; Flax has none, Keras's is of matrices only.
    """
    return Identity(check_number("identity(scale)", scale))

"""Orthogonal initialization: a random rotation, which keeps every length and not only the average one."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record

__all__ = ["Orthogonal", "orthogonal"]


@record
class Orthogonal:
    """See `orthogonal`."""

    scale: Number

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        if len(shape) < 2:
            raise ValueError(
                f"orthogonal()(shape) is {tuple(shape)}, expected a shape of rank 2 or more: "
                "a vector has no columns to be orthogonal, initialize it with zeros or normal."
            )
        kind = np.promote_types(dtype, np.float32)
        rotation = jax.nn.initializers.orthogonal()(key, tuple(shape), kind)
        return (as_hyperparameter(self.scale).astype(kind) * rotation).astype(dtype)


def orthogonal(scale: Number = 1.0) -> Orthogonal:
    """A uniformly random matrix with orthonormal columns, or rows where there are fewer of them.

        WᵀW = scale²·I  (fan_in ≥ out)            WWᵀ = scale²·I  (fan_in ≤ out)

    Arguments:
        scale: ≥ 0; all singular values. √2 for ReLU.

    Returns:
        An `Orthogonal` record, called `(key, shape, dtype=float32)`. All axes but the last are
        flattened into rows: for a convolution HWI × O.

    Raises:
        ValueError: a negative scale; when called, a shape of rank below 2.
        TypeError: an argument is not a number.

    Example:
        >>> kernel = orthogonal()(jax.random.key(0), (4, 2))
        >>> bool(jnp.allclose(kernel.T @ kernel, jnp.eye(2), atol=1e-6))
        True

    Source: Saxe, McClelland & Ganguli 2014, section 3.

    Elsewhere: `jax.nn.initializers.orthogonal`, which draws it here too; torch calls the scale gain.
    """
    return Orthogonal(check_number("orthogonal(scale)", scale, "[0, inf)"))

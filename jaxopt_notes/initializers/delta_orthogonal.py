"""Delta-orthogonal initialization: a convolution that at first rotates the channels of each pixel.

The middle pixel of the kernel is a random orthogonal matrix, all others are zero. So the map of whole images
keeps every length, at any depth; networks of 10,000 plain convolutions have been trained from it.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.initializers.identity import in_the_middle
from jaxopt_notes.initializers.orthogonal import Orthogonal
from jaxopt_notes.record import Number, check_number, record

__all__ = ["DeltaOrthogonal", "delta_orthogonal"]


@record
class DeltaOrthogonal:
    """See `delta_orthogonal`."""

    scale: Number

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        kind = np.promote_types(dtype, np.float32)
        return in_the_middle(Orthogonal(self.scale)(key, tuple(shape[-2:]), kind), shape, dtype)


def delta_orthogonal(scale: Number = 1.0) -> DeltaOrthogonal:
    """A kernel whose middle pixel is a random matrix with orthonormal rows, and zero elsewhere.

        W[middle]·W[middle]ᵀ = scale²·I            W[m] = 0 for all other pixels

    Arguments:
        scale: ≥ 0; √2 for ReLU.

    Returns:
        A `DeltaOrthogonal` record, called `(key, shape, dtype=float32)`, for shapes (…, in, out).
        With more inputs than outputs no map keeps all lengths; then columns are orthonormal.

    Raises:
        ValueError: a negative scale; when called, a shape of rank below 2.
        TypeError: an argument is not a number.

    Example:
        >>> kernel = delta_orthogonal()(jax.random.key(0), (3, 3, 2, 4))
        >>> bool(jnp.allclose(kernel[1, 1] @ kernel[1, 1].T, jnp.eye(2), atol=1e-6))
        True
        >>> int((kernel != 0).sum())
        8

    Source: Xiao et al. 2018, algorithm 1.

    Elsewhere: `jax.nn.initializers.delta_orthogonal`, which refuses more inputs than outputs; torch has none.
    """
    return DeltaOrthogonal(check_number("delta_orthogonal(scale)", scale, "[0, inf)"))

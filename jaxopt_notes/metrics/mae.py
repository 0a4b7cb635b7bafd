"""MAE, the mean absolute error, in the unit of the targets."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.errors import mean_in_units, read_errors

__all__ = ["mae"]


def mae(outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> jax.Array:
    """The mean absolute error.

        MAE = Σᵢ wᵢ·|oᵢ − yᵢ| / Σᵢ wᵢ

    Arguments:
        outputs: predictions, [B] or [B, …].
        targets: y, the same shape.
        weights: [B], numbers ≥ 0; `None` weights all alike.

    Returns:
        A scalar in float32 (float64 if the arguments are), the mean over all outputs of a sample; 0
        without samples. A sample without weight counts nothing, even if it is NaN.

    Raises:
        ValueError: the shapes differ; nothing is broadcast.

    Example:
        >>> mae(jnp.array([1.0, 2.0, 4.0]), jnp.array([1.0, 2.0, 1.0]))
        Array(1., dtype=float32)

    Elsewhere: `sklearn.metrics.mean_absolute_error`, with the arguments the other way round.
    """
    errors, w = read_errors("mae", outputs, targets, weights)
    return mean_in_units(jnp.abs, errors, w)

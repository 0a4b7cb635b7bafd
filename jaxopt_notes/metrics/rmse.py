"""RMSE, the root of the mean squared error, in the unit of the targets."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.errors import mean_in_units, read_errors
from jaxopt_notes.numerics import safe_sqrt

__all__ = ["rmse"]


def rmse(outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> jax.Array:
    """The root of the mean squared error.

        RMSE = √(Σᵢ wᵢ·(oᵢ − yᵢ)² / Σᵢ wᵢ)

    Arguments:
        outputs: predictions, [B] or [B, …].
        targets: y, the same shape.
        weights: [B], numbers ≥ 0; `None` weights all alike.

    Returns:
        A scalar in float32 (float64 if the arguments are), the mean of the roots over all outputs of a
        sample; 0 without samples. Squares neither overflow nor vanish. A sample without weight counts
        nothing, even if it is NaN.

    Raises:
        ValueError: the shapes differ; nothing is broadcast.

    Example:
        >>> rmse(jnp.array([1.0, 2.0, 4.0, 2.0]), jnp.array([1.0, 2.0, 1.0, 2.0]))
        Array(1.5, dtype=float32)

    Elsewhere: `sklearn.metrics.root_mean_squared_error`, with the arguments the other way round. The root
    of `mean_squared_error` over several outputs is the root of their mean, which is larger.
    """
    errors, w = read_errors("rmse", outputs, targets, weights)
    return mean_in_units(jnp.square, errors, w, safe_sqrt)

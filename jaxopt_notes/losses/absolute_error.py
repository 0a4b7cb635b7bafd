"""Absolute error: the negative log-likelihood of a Laplace distribution, which outliers hardly move."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.losses.pairing import mean_product_of_each, pair

__all__ = ["mean_absolute_error"]


def mean_absolute_error(outputs: ArrayLike, targets: ArrayLike) -> jax.Array:
    """Absolute error, averaged over the features of each example.

        ℓᵢ = 1/K · Σₖ |oᵢₖ − yᵢₖ|          ∂ℓᵢ/∂oᵢₖ = sign(oᵢₖ − yᵢₖ)/K, 0 at 0

    Arguments:
        outputs: [B] or [B, …], real.
        targets: the same shape.

    Returns:
        [B], in the dtype of the outputs.

    Raises:
        ValueError: the shapes differ; nothing is broadcast.

    Example:
        >>> mean_absolute_error(jnp.array([[1.0, -3.0]]), jnp.array([[0.0, 0.0]]))
        Array([2.], dtype=float32)

    Elsewhere: `torch.nn.functional.l1_loss` is the mean of these values.
    """
    o, y = pair("mean_absolute_error", outputs, targets)
    e = o - y
    return mean_product_of_each(e, jnp.sign(e), outputs)  # the slope of jnp.abs at 0 would be 1

"""Squared error: the negative log-likelihood of a Gaussian, up to constants.

Two conventions are in use and differ by a factor 2 in every gradient, hence in the learning rate.
Each has its name here.
"""

import jax
from jax.typing import ArrayLike

from jaxopt_notes.losses.pairing import mean_product_of_each, pair

__all__ = ["half_mean_squared_error", "mean_squared_error"]


def mean_squared_error(outputs: ArrayLike, targets: ArrayLike) -> jax.Array:
    """Squared error, averaged over the features of each example.

        ℓᵢ = 1/K · Σₖ (oᵢₖ − yᵢₖ)²

    Arguments:
        outputs: [B] or [B, …], real.
        targets: the same shape.

    Returns:
        [B], in the dtype of the outputs.

    Raises:
        ValueError: the shapes differ; nothing is broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> mean_squared_error(jnp.array([[1.0, 3.0], [0.0, 0.0]]), jnp.array([[0.0, 0.0], [0.0, 2.0]]))
        Array([5., 2.], dtype=float32)

    Elsewhere: `torch.nn.functional.mse_loss` is the mean of these values; `optax.squared_error`
    does not average, and `optax.l2_loss` is half of it.
    """
    o, y = pair("mean_squared_error", outputs, targets)
    return mean_product_of_each(o - y, o - y, outputs)


def half_mean_squared_error(outputs: ArrayLike, targets: ArrayLike) -> jax.Array:
    """Half the squared error, whose gradient is the error itself.

        ℓᵢ = 1/(2K) · Σₖ (oᵢₖ − yᵢₖ)²          ∂ℓᵢ/∂oᵢₖ = (oᵢₖ − yᵢₖ)/K

    Arguments:
        outputs: [B] or [B, …], real.
        targets: the same shape.

    Returns:
        [B], in the dtype of the outputs.

    Raises:
        ValueError: the shapes differ; nothing is broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> half_mean_squared_error(jnp.array([3.0, 1.0]), jnp.array([0.0, 0.0]))
        Array([4.5, 0.5], dtype=float32)

    Elsewhere: `optax.l2_loss`, averaged over features.
    """
    o, y = pair("half_mean_squared_error", outputs, targets)
    return mean_product_of_each(0.5 * (o - y), o - y, outputs)

"""Huber's loss: squared error for small errors, absolute error for large ones."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.losses.pairing import mean_product_of_each, pair
from jaxopt_notes.record import Number, check_number

__all__ = ["huber"]


def huber(outputs: ArrayLike, targets: ArrayLike, *, delta: Number = 1.0) -> jax.Array:
    """Huber's loss, averaged over the features of each example.

        e = o − y,   c = e clipped to [−δ, δ]
        ℓᵢ = 1/K · Σₖ c·(e − c/2)   which is   ½e² where |e| ≤ δ,   δ·(|e| − δ/2) beyond

    Arguments:
        outputs: [B] or [B, …], real.
        targets: the same shape.
        delta: δ > 0, where the parabola passes into its tangent, in units of the error. The limit
            inf is `half_mean_squared_error`. A leaf of `jax.tree_util.Partial(huber, delta=…)`.

    Returns:
        [B], in the dtype of the outputs.

    Raises:
        ValueError: the shapes differ, or δ ≤ 0.

    Example:
        >>> huber(jnp.array([0.5, 3.0]), jnp.array([0.0, 0.0]), delta=1.0)
        Array([0.125, 2.5  ], dtype=float32)

    Source: Huber 1964.

    Elsewhere: `torch.nn.functional.huber_loss` is the mean of these values. Its `smooth_l1_loss` is
    this one divided by δ.
    """
    delta = check_number("huber(delta)", delta, "(0, inf]", "the usual value is 1.0")
    o, y = pair("huber", outputs, targets)
    e = o - y
    bound = as_hyperparameter(delta).astype(e.dtype)
    c = jnp.clip(e, -bound, bound)
    return mean_product_of_each(c, e - 0.5 * c, outputs)

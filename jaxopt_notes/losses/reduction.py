"""From values per example to one number: the mean, weighted by sample.

There is one reduction. It is a mean and not a sum, so that the learning rate does not depend on the
number of samples; it takes weights, so that padding counts nothing, and so
that the means of unequal batches, weighted by their sizes, add up to the mean of all.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import compute_dtype
from jaxopt_notes.losses.pairing import as_outputs
from jaxopt_notes.numerics import power_of_two, safe_divide

__all__ = ["empirical_risk", "weighted_mean"]


def weighted_mean(values: ArrayLike, weights: ArrayLike | None = None) -> jax.Array:
    """The mean of values per example, weighted by sample.

        Σᵢ wᵢ·vᵢ / Σᵢ wᵢ

    Arguments:
        values: [B] or [B, …]; further axes are averaged too.
        weights: [B], or of the shape of `values`; numbers ≥ 0 or bools. `None` weights all alike.

    Returns:
        A scalar in the dtype of `values`, computed in at least float32. It is 0 if no weight is
        positive. A value that is not finite counts nothing where its weight is 0.

    Raises:
        ValueError: the weights have neither shape.

    Example:
        >>> weighted_mean(jnp.array([1.0, 2.0, 9.0]), jnp.array([1.0, 1.0, 0.0]))
        Array(1.5, dtype=float32)

    Elsewhere: torch's `reduction="mean"` of a loss with class weights is the same quotient; Keras
    divides the weighted sum by the number of samples, so there padding still counts.
    """
    given = jnp.asarray(values)
    kind = compute_dtype(given)
    values = given.astype(kind)
    weights = jnp.ones(values.shape[:1], kind) if weights is None else jnp.asarray(weights).astype(kind)
    if weights.shape not in (values.shape[:1], values.shape):
        raise ValueError(
            f"weighted_mean(weights) has shape {weights.shape}, expected {values.shape[:1]}, one weight a "
            f"sample, or {values.shape}, that of the values: use weights.reshape({values.shape[:1]})."
        )
    weights = weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
    weights = jnp.broadcast_to(weights, values.shape)
    # Only what is not finite is replaced: where a weight is 0, its own gradient stays right.
    values = jnp.where((weights == 0) & ~jnp.isfinite(values), 0, values)
    return as_outputs(_mean(values, weights), given)


@jax.custom_jvp
def _mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Σwv/Σw in units of the largest weight and of the largest value that has one: no sum overflows."""
    values = jnp.where(weights == 0, 0, values)
    unit, heaviest = (power_of_two(jnp.max(jnp.abs(x), initial=0)) for x in (values, weights))
    weights = weights / heaviest
    return unit * safe_divide(jnp.sum(weights * (values / unit)), jnp.sum(weights))


@_mean.defjvp
def _mean_jvp(primals: tuple, tangents: tuple) -> tuple:
    """Each value counts by its share; each weight moves the mean towards its value."""
    (values, weights), (dv, dw) = primals, tangents
    mean = _mean(values, weights)
    heaviest = power_of_two(jnp.max(jnp.abs(weights), initial=0))
    total = jnp.sum(weights / heaviest)
    apart = values - mean
    apart = jnp.where(jnp.isfinite(apart), apart, 0)
    return mean, safe_divide(jnp.sum(weights / heaviest * dv) + jnp.sum(dw / heaviest * apart), total)


def empirical_risk(
    loss: Callable[..., Any], outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
) -> jax.Array:
    """The mean of a loss over a set of samples, the quantity that training makes small.

        L_S(θ) = 1/n · Σᵢ ℓ(f(xᵢ; θ), yᵢ)

    Arguments:
        loss: `loss(outputs, targets)` with one value per example.
        outputs: [B, …], what the model made of the inputs.
        targets: [B, …].
        weights: [B], see `weighted_mean`.

    Returns:
        A scalar in the dtype of the values.

    Example:
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> empirical_risk(mean_squared_error, jnp.array([1.0, 2.0]), jnp.array([0.0, 0.0]))
        Array(2.5, dtype=float32)

    """
    return weighted_mean(loss(outputs, targets), weights)

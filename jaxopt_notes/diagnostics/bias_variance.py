"""The decomposition of an expected squared error into bias, variance and noise.

A method is judged by what it makes of training sets that might have been drawn. The bias is how far the mean
of its predictions is from the truth; the variance is how far they are from their own mean. It is over draws
of the training set: the difference between training and validation error, which the study notes call
variance, is the generalization gap of one run (`diagnose_fit`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.record import Number, check_count, check_number

__all__ = ["BiasVariance", "bias_variance", "bias_variance_of"]


class BiasVariance(NamedTuple):
    """The parts of the expected squared error, of each point; `jax.tree.map(jnp.mean, parts)` is over all.

    Arguments:
        bias_squared, variance, noise: arrays of the shape of one prediction.

    Example:
        >>> BiasVariance(jnp.array([1.0]), jnp.array([0.5]), jnp.array([0.25])).total
        Array([1.75], dtype=float32)
    """

    bias_squared: jax.Array
    variance: jax.Array
    noise: jax.Array

    @property
    def total(self) -> jax.Array:
        """The expected squared error against new observations."""
        return self.bias_squared + self.variance + self.noise


def bias_variance_of(
    predictions: ArrayLike, truth: ArrayLike, noise: Number = 0.0, weights: ArrayLike | None = None
) -> BiasVariance:
    """The decomposition, of predictions that models of several training sets make.

        E(f_D − y)² = (f̄ − f)² + E(f_D − f̄)² + E(y − f)²,     f̄ = E f_D over training sets D

    Arguments:
        predictions: f_D, [D, …], by models that were fitted to D training sets.
        truth: f, the expected observation, of the shape of one prediction, or of its last axes.
        noise: the variance of observations around the truth, a number ≥ 0 or an array of the shape of
            truth.
        weights: [D], the probabilities of the training sets; `None` weights all alike.

    Returns:
        A `BiasVariance` of arrays […]. With all training sets enumerated it is exact. With D drawn ones the
        variance is too small by the factor 1 − 1/D on average, and the squared bias too large by that part.

    Raises:
        ValueError: noise below 0, or weights of a wrong shape. TypeError: noise is not a number.

    Example:
        >>> parts = bias_variance_of(jnp.array([[1.0, 5.0], [3.0, 5.0]]), jnp.array([1.0, 5.0]))
        >>> parts.bias_squared, parts.variance
        (Array([1., 0.], dtype=float32), Array([1., 0.], dtype=float32))

    Source: Geman, Bienenstock & Doursat 1992.
    """
    f = jnp.asarray(predictions)
    f = f.astype(compute_dtype(f))
    truth = jnp.broadcast_to(jnp.asarray(truth).astype(f.dtype), f.shape[1:])
    noise = check_number("bias_variance_of(noise)", noise, "[0, inf)", "it is a variance")
    noise = jnp.broadcast_to(as_hyperparameter(noise).astype(f.dtype), f.shape[1:])
    if weights is None:
        weights = jnp.ones(len(f))
    weights = jnp.asarray(weights).astype(f.dtype)
    if weights.shape != f.shape[:1]:
        raise ValueError(
            f"bias_variance_of(weights) has shape {weights.shape}, expected {f.shape[:1]}, one each."
        )
    weights = (weights / jnp.sum(weights)).reshape(-1, *(1,) * (f.ndim - 1))
    mean = jnp.sum(weights * f, axis=0, keepdims=True)
    variance = jnp.sum(weights * jnp.square(f - mean), axis=0)
    return BiasVariance(jnp.square(mean[0] - truth), variance, noise)


def bias_variance(
    predictor: Callable[[Any], Any],
    datasets: Tree,
    truth: ArrayLike,
    noise: Number = 0.0,
    *,
    weights: ArrayLike | None = None,
    chunk_size: int | None = None,
) -> BiasVariance:
    """The decomposition for a training procedure, run on all training sets at once.

        f_D = predictor(D) for each D,     E(f_D − y)² = bias² + variance + noise

    Arguments:
        predictor: from a training set to the predictions […] at fixed points: it trains, so of
            `Trainer.init` and `advance`, or of a formula. It is mapped by `vmap`.
        datasets: training sets, a tree of arrays with a common leading axis D, such as (x, y), or keys
            that the predictor draws its own from.
        truth, noise, weights: see `bias_variance_of`.
        chunk_size: how many are trained at once, static; by default all.

    Returns:
        A `BiasVariance` of arrays […]. A predictor that returns the predictions of every epoch, [epochs, n],
        gets the parts over the epochs.

    Raises:
        ValueError, TypeError: see `bias_variance_of`.

    Example:
        >>> mean = lambda y: jnp.mean(y)[None]  # of two observations, each 2 + 1 or 2 - 1
        >>> samples = jnp.array([[1.0, 1.0], [1.0, 3.0], [3.0, 1.0], [3.0, 3.0]])
        >>> bias_variance(mean, samples, jnp.array([2.0]), noise=1.0).variance
        Array([0.5], dtype=float32)

    Source: Geman, Bienenstock & Doursat 1992.
    """
    if chunk_size is None:
        predictions = jax.vmap(predictor)(datasets)
    else:
        size = check_count("bias_variance(chunk_size)", chunk_size, 1)
        predictions = lax.map(predictor, datasets, batch_size=size)
    return bias_variance_of(predictions, truth, noise, weights)

"""Gaussian noise, added to or multiplied with what passes, in training only.

Added to the inputs it is, to first order in the variance, a penalty on the gradient of the loss with respect
to them. Multiplied (Gaussian dropout) it has the mean and the variance of dropout, without silencing a unit.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.layers.layer import WithoutParameters, floating
from jaxopt_notes.layers.noise import Noise, check_key
from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.record import Number, check_number, record

__all__ = ["GaussianDropout", "GaussianNoise", "gaussian_dropout", "gaussian_noise"]


@record
class GaussianNoise(WithoutParameters, Noise):
    """See `gaussian_noise`."""

    stddev: Number

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        if not train:
            return x, state
        wide = x.astype(compute_dtype(x))
        noise = draws(check_key("gaussian_noise", key), wide)
        return (wide + as_hyperparameter(self.stddev).astype(wide.dtype) * noise).astype(x.dtype), state


@record
class GaussianDropout(WithoutParameters, Noise):
    """See `gaussian_dropout`."""

    rate: Number

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        if not train:
            return x, state
        wide, rate = x.astype(compute_dtype(x)), as_hyperparameter(self.rate)
        stddev = safe_sqrt(rate / (1 - rate)).astype(wide.dtype)
        return (wide * (1 + stddev * draws(check_key("gaussian_dropout", key), wide))).astype(x.dtype), state


def draws(key: jax.Array, like: jax.Array) -> jax.Array:
    """Standard normal numbers, the same in every precision."""
    drawn = as_vector(lambda shape: jax.random.normal(key, shape, jnp.float32), like.shape)
    return drawn.astype(like.dtype)


def gaussian_noise(stddev: Number = 0.1) -> GaussianNoise:
    """Gaussian noise added in training.

        training: y = x + stddev·ε,  ε ~ N(0, 1) for each number in x      evaluation: y = x

    Arguments:
        stddev: standard deviation, ≥ 0, in the units of x.

    Returns:
        A `GaussianNoise` record. It needs a key only when `train=True`.

    Raises:
        ValueError: a negative standard deviation; in `apply`, training without a key.

    Example:
        >>> y, _ = gaussian_noise(0.1).apply({}, (), jnp.zeros(10_000), key=jax.random.key(0), train=True)
        >>> print(f"{y.std():.2f}")
        0.10

    Source: Bishop 1995. Elsewhere: Keras's `GaussianNoise`; torch and Flax have none.
    """
    return GaussianNoise(check_number("gaussian_noise(stddev)", stddev, "[0, inf)"))


def gaussian_dropout(rate: Number = 0.5) -> GaussianDropout:
    """Dropout with Gaussian factors of the same mean and variance.

        training: y = x·(1 + √(rate/(1 − rate))·ε),  ε ~ N(0, 1) for each number in x      evaluation: y = x

    Arguments:
        rate: that of the dropout it stands for, in [0, 1).

    Returns:
        A `GaussianDropout` record. It needs a key only when `train=True`.

    Raises:
        ValueError: a rate outside [0, 1); in `apply`, training without a key.

    Example:
        >>> layer = gaussian_dropout(0.2)
        >>> y, _ = layer.apply({}, (), jnp.ones(10_000), key=jax.random.key(0), train=True)
        >>> print(f"{y.mean():.1f} {y.std():.1f}")
        1.0 0.5

    Source: Srivastava et al. 2014, section 10. Elsewhere: Keras has one; torch and Flax have none.
    """
    remedy = "the variance of rate 1 is infinite"
    return GaussianDropout(check_number("gaussian_dropout(rate)", rate, "[0, 1)", remedy))

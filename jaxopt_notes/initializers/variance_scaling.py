"""Variance scaling: weights whose variance is a number divided by a fan.

A unit sums n_in products, so its variance is n_in·Var(w)·E[x²]. Dividing by the fan-in keeps the
variance of activations the same from layer to layer, dividing by the fan-out that of gradients. All
initializers named for a person are this one with a scale of their own: LeCun 1 (here), Xavier gain²
over the average of both fans, He 2/(1 + slope²) for what a rectifier takes away.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.initializers.fans import fans
from jaxopt_notes.initializers.normal import Normal
from jaxopt_notes.initializers.truncated_normal import TruncatedNormal
from jaxopt_notes.initializers.uniform import Uniform
from jaxopt_notes.record import Number, check_choice, check_number, record, static

__all__ = ["VarianceScaling", "fan_in_uniform", "lecun_normal", "lecun_uniform", "variance_scaling"]

MODES = ("fan_in", "fan_out", "fan_avg")

# A distribution of mean 0 and the given standard deviation; that of U(−b, b) is b/√3.
DISTRIBUTIONS: dict[str, Callable[..., Any]] = {
    "normal": Normal,
    "truncated_normal": TruncatedNormal,
    "uniform": lambda stddev: Uniform(-(3**0.5) * stddev, 3**0.5 * stddev),
}


@record
class VarianceScaling:
    """See `variance_scaling`."""

    scale: Number
    mode: str = static()
    distribution: str = static()

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = jnp.sqrt(as_hyperparameter(self.scale) / max(fan, 1))  # a fan of 0 has no weights
        return DISTRIBUTIONS[self.distribution](stddev)(key, shape, dtype)


def variance_scaling(
    scale: Number = 1.0, mode: str = "fan_in", distribution: str = "normal"
) -> VarianceScaling:
    """Weights of mean 0 whose variance is a number divided by a fan.

        Var(W) = scale / n            n = fan_in, fan_out or (fan_in + fan_out)/2

    Arguments:
        scale: > 0.
        mode: "fan_in" (keeps the variance of activations), "fan_out" (of gradients), "fan_avg".
        distribution: "normal", "uniform" (bounds ±√(3·scale/n)) or "truncated_normal" (no value
            beyond 2.27 standard deviations). All three have the same variance.

    Returns:
        A `VarianceScaling` record, called `(key, shape, dtype=float32)`.

    Raises:
        ValueError: a scale that is not positive, an unknown mode or distribution; when called, a
        shape of rank below 2.

    Example:
        >>> kernel = variance_scaling(2.0, "fan_out", "uniform")(jax.random.key(0), (100, 200))
        >>> print(f"{kernel.var():.3f}")
        0.010

    Source: He et al. 2015, section 2.2.

    Elsewhere: the arguments and formula of `jax.nn.initializers.variance_scaling`; "normal" is the
    default here, JAX has none.
    """
    return VarianceScaling(
        check_number("variance_scaling(scale)", scale, "(0, inf)"),
        check_choice("variance_scaling(mode)", mode, MODES),
        check_choice("variance_scaling(distribution)", distribution, tuple(DISTRIBUTIONS)),
    )


def lecun_normal() -> VarianceScaling:
    """Normal draws that keep the variance of a linear layer.

        W ~ N(0, 1/fan_in)            standard deviation 1/√fan_in

    Returns:
        A `VarianceScaling` record of scale 1.

    Example:
        >>> kernel = lecun_normal()(jax.random.key(0), (400, 100))
        >>> print(f"{kernel.std():.2f}")
        0.05

    Source: LeCun et al. 1998, section 4.6; in the N(0, 1/√n) of the study notes 1/√n is the standard
    deviation. SELU's fixed point needs it (Klambauer et al. 2017).

    Elsewhere: JAX, Flax and Keras draw from a truncated normal of the same variance:
    `variance_scaling(1.0, "fan_in", "truncated_normal")`.
    """
    return VarianceScaling(1.0, "fan_in", "normal")


def lecun_uniform() -> VarianceScaling:
    """Uniform draws that keep the variance of a linear layer.

        W ~ U(−√(3/fan_in), √(3/fan_in))            variance 1/fan_in

    Returns:
        A `VarianceScaling` record of scale 1.

    Example:
        >>> kernel = lecun_uniform()(jax.random.key(0), (300, 100))
        >>> print(f"{abs(kernel).max():.2f}")
        0.10

    Source: LeCun et al. 1998. `fan_in_uniform` has a third of the variance.
    """
    return VarianceScaling(1.0, "fan_in", "uniform")


def fan_in_uniform() -> VarianceScaling:
    """The old heuristic ±1/√n, which shrinks variances by three with every layer.

        W ~ U(−1/√fan_in, 1/√fan_in)            variance 1/(3·fan_in)

    Returns:
        A `VarianceScaling` record of scale ⅓.

    Example:
        >>> kernel = fan_in_uniform()(jax.random.key(0), (100, 100))
        >>> print(f"{abs(kernel).max():.2f}")
        0.10

    Source: Glorot & Bengio 2010, eq. 1, "the commonly used heuristic"; the study notes take it for the
    uniform form of `lecun_normal`. That is `lecun_uniform`, with bounds ±√(3/fan_in).

    Elsewhere: the default of torch's Linear and Conv layers, written as He's with slope √5.
    """
    return VarianceScaling(1 / 3, "fan_in", "uniform")

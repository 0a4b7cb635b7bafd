"""He (Kaiming, MSRA) initialization: twice the variance, because a rectifier keeps half of it.

For z symmetric around 0, E[relu(z)²] = Var(z)/2, and with a slope α below 0 it is (1 + α²)/2 of it.
Multiplying the variance of the weights by the inverse keeps E[z²] constant over any depth. α = 0 is
ReLU, α = 1 the identity, where He with the fan-in is LeCun.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.initializers.variance_scaling import MODES, VarianceScaling
from jaxopt_notes.record import Number, check_choice, check_number, record, static

__all__ = ["He", "he_normal", "he_uniform"]


@record
class He:
    """See `he_normal` and `he_uniform`."""

    negative_slope: Number
    mode: str = static()
    distribution: str = static()

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        scale = 2 / (1 + jnp.square(as_hyperparameter(self.negative_slope)))
        return VarianceScaling(scale, self.mode, self.distribution)(key, shape, dtype)


def he_normal(negative_slope: Number = 0.0, mode: str = "fan_in") -> He:
    """He (Kaiming, MSRA) initialization with normal draws, for ReLU and Leaky ReLU.

        W ~ N(0, 2/((1 + α²)·n))            n = fan_in, fan_out or their average

    Arguments:
        negative_slope: α, the slope of Leaky ReLU below 0; 0 for ReLU.
        mode: "fan_in" keeps the variance of activations, "fan_out" that of gradients, "fan_avg" is
            between. Both are fine for training: over the whole depth they differ by one ratio of fans.

    Returns:
        A `He` record, called `(key, shape, dtype=float32)`.

    Raises:
        ValueError: an unknown mode; when called, a shape of rank below 2.
        TypeError: an argument is not a number.

    Example:
        >>> kernel = he_normal()(jax.random.key(0), (200, 300))
        >>> print(f"{kernel.std():.2f}")
        0.10

    Source: He et al. 2015, eq. 10, 14 and 15. The second argument of
    their N(0, √(2/n)) is the standard deviation; n̂ = h·w·d with d kernels is the fan-out.

    Elsewhere: the same in torch (`kaiming_normal_(a=…)`); JAX, Flax and Keras draw from a truncated
    normal of the same variance and know no slope.
    """
    return He(
        check_number("he_normal(negative_slope)", negative_slope),
        check_choice("he_normal(mode)", mode, MODES),
        "normal",
    )


def he_uniform(negative_slope: Number = 0.0, mode: str = "fan_in") -> He:
    """He (Kaiming, MSRA) initialization with uniform draws, for ReLU and Leaky ReLU.

        W ~ U(−b, b)            b = √(6/((1 + α²)·n))            n = fan_in, fan_out or their average

    Arguments:
        negative_slope: α, the slope of Leaky ReLU below 0; 0 for ReLU.
        mode: "fan_in" keeps the variance of activations, "fan_out" that of gradients, "fan_avg" is between.

    Returns:
        A `He` record, called `(key, shape, dtype=float32)`.

    Raises:
        ValueError: an unknown mode; when called, a shape of rank below 2.
        TypeError: an argument is not a number.

    Example:
        >>> kernel = he_uniform()(jax.random.key(0), (600, 100))
        >>> print(f"{abs(kernel).max():.2f}")
        0.10

    Source: He et al. 2015; the study notes print U(−√(6/n_in), √(6/n_out)). Its mean
    is not 0 unless the fans are equal; both bounds take the same fan.

    Elsewhere: the same in torch; JAX, Flax and Keras know no slope.
    """
    return He(
        check_number("he_uniform(negative_slope)", negative_slope),
        check_choice("he_uniform(mode)", mode, MODES),
        "uniform",
    )

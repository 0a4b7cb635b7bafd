"""Noise on the inputs.

Gaussian noise of variance σ² on the inputs of a linear model is, on average, a ridge penalty of strength σ²;
of any model it is, to first order, a penalty on the slope of the outputs (Bishop 1995). So it serves
regression as well as images.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.data.augmentation.augmentation import Augmentation, check_rate, chosen, in_floats
from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record

__all__ = ["RandomNoise", "SaltAndPepper", "random_noise", "salt_and_pepper"]


@record
class RandomNoise(Augmentation):
    """See `random_noise`."""

    stddev: Number

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        draws = as_vector(lambda shape: jax.random.normal(key, shape, jnp.float32), x.shape)
        stddev = as_hyperparameter(self.stddev)
        return in_floats(lambda x: x + stddev.astype(x.dtype) * draws.astype(x.dtype), x)


def random_noise(stddev: Number = 0.1) -> RandomNoise:
    """Gaussian noise added to every number.

        x ← x + σ·N(0, 1)

    Arguments:
        stddev: σ ≥ 0, in units of the inputs.

    Returns:
        A `RandomNoise` record for inputs [B, …] of any dtype.

    Raises:
        ValueError: a negative deviation.

    Example:
        >>> x, _ = random_noise(0.5)(jax.random.key(0), jnp.zeros((1000, 10)))
        >>> print(x.std().round(1))
        0.5

    Source: Bishop 1995. The study notes call noise pointless for regression; it is Tikhonov regularization.

    Elsewhere: the layer `gaussian_noise` adds it anywhere in a model; Keras has it as a layer, too.
    """
    return RandomNoise(check_number("random_noise(stddev)", stddev, "[0, inf)", "0 switches it off"))


@record
class SaltAndPepper(Augmentation):
    """See `salt_and_pepper`."""

    rate: Number
    low: Number
    high: Number

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        of_place, of_color = jax.random.split(key)
        pixels = x.shape if x.ndim < 4 else (*x.shape[:-1], 1)
        struck, salt = chosen(of_place, self.rate, pixels), chosen(of_color, 0.5, pixels)
        low, high = (as_hyperparameter(number).astype(x.dtype) for number in (self.low, self.high))
        return jnp.where(struck, jnp.where(salt, high, low), x)


def salt_and_pepper(rate: Number = 0.05, low: Number = 0.0, high: Number = 1.0) -> SaltAndPepper:
    """Some pixels become black or white.

        x[i, j] ← low or high, with probability rate/2 each

    Arguments:
        rate: the share of pixels that are struck, in [0, 1].
        low, high: black and white, as numbers of the inputs.

    Returns:
        A `SaltAndPepper` record for images [B, H, W, C], a pixel in all its channels at once, or for other
        inputs [B, …], number by number; of any dtype.

    Raises:
        ValueError: a rate outside [0, 1].

    Example:
        >>> x, _ = salt_and_pepper(1.0)(jax.random.key(0), jnp.full((2, 8, 8, 1), 0.3))
        >>> sorted(set(x.ravel().tolist()))
        [0.0, 1.0]

    Source: Gonzalez & Woods 2018, section 5.2.

    Elsewhere: `skimage.util.random_noise(mode="s&p")` strikes each channel by itself.
    """
    return SaltAndPepper(
        check_rate("salt_and_pepper(rate)", rate),
        check_number("salt_and_pepper(low)", low),
        check_number("salt_and_pepper(high)", high),
    )

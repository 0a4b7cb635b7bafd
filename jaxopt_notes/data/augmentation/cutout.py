"""Cutout: a square of each image is overwritten, so that no part of it alone can be relied on."""

import jax
import jax.numpy as jnp

from jaxopt_notes.data.augmentation.augmentation import Augmentation, images
from jaxopt_notes.data.augmentation.boxes import Box, inside
from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record

__all__ = ["Cutout", "cutout"]


@record
class Cutout(Augmentation):
    """See `cutout`."""

    size: Number
    value: Number

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        x = images("cutout", x)
        side = jnp.round(as_hyperparameter(self.size))
        middle = as_vector(lambda shape: jax.random.uniform(key, shape, jnp.float32), (2, len(x)))
        middle = middle.astype(side.dtype)
        middle = jnp.floor(middle * jnp.array(x.shape[1:3], side.dtype)[:, None])
        top, left = middle - jnp.floor(side / 2)
        sides = jnp.broadcast_to(side, top.shape)
        value = as_hyperparameter(self.value).astype(x.dtype)
        return jnp.where(inside(Box(top, left, sides, sides), x.shape), value, x)


def cutout(size: Number, value: Number = 0.0) -> Cutout:
    """A square with its middle at a random pixel is overwritten in every image.

        x[i, j] ← value          for c − ⌊L/2⌋ ≤ (i, j) < c − ⌊L/2⌋ + L

    Arguments:
        size: L ≥ 0, the side in pixels, rounded to a whole number; a part of the square may be outside.
        value: what is written. 0 is the mean of standardized images.

    Returns:
        A `Cutout` record for images [B, H, W, C] of any dtype.

    Raises:
        ValueError: a negative size.

    Example:
        >>> x, _ = cutout(4)(jax.random.key(0), jnp.ones((2, 32, 32, 3)))
        >>> float(x.min()), float(x.max())
        (0.0, 1.0)

    Source: DeVries & Taylor 2017, section 3.2: 16 pixels of 32 for CIFAR-10, 8 for CIFAR-100.
    """
    return Cutout(
        check_number("cutout(size)", size, "[0, inf)", "it is a number of pixels; 0 switches it off"),
        check_number("cutout(value)", value),
    )

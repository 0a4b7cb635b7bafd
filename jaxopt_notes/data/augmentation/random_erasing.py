"""Random erasing: a rectangle of each image is overwritten, as if something stood before it."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.data.augmentation.augmentation import (
    Augmentation,
    check_pair,
    check_rate,
    chosen,
    each,
    images,
    in_floats,
)
from jaxopt_notes.data.augmentation.boxes import inside, random_boxes
from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record

__all__ = ["RandomErasing", "random_erasing"]


@record
class RandomErasing(Augmentation):
    """See `random_erasing`."""

    rate: Number
    area: tuple[Number, Number]
    ratio: tuple[Number, Number]
    value: Number
    noise: Number

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        x = images("random_erasing", x)
        of_rate, of_box, of_noise = jax.random.split(key, 3)
        box, _ = random_boxes(of_box, x.shape, self.area, self.ratio, log=False)
        erased = inside(box, x.shape) & each(
            chosen(of_rate, self.rate, x.shape[:1]), jnp.zeros(x.shape, bool)
        )

        def overwritten(x: jax.Array) -> jax.Array:
            value, noise = (as_hyperparameter(number).astype(x.dtype) for number in (self.value, self.noise))
            draws = as_vector(lambda shape: jax.random.normal(of_noise, shape, jnp.float32), x.shape)
            draws = draws.astype(x.dtype)
            return jnp.where(erased, value + noise * draws, x)

        return in_floats(overwritten, x)


def random_erasing(
    rate: Number = 0.5,
    area: Any = (0.02, 0.4),
    ratio: Any = (0.3, 1 / 0.3),
    *,
    value: Number = 0.0,
    noise: Number = 0.0,
) -> RandomErasing:
    """A rectangle of random size, shape and place is overwritten in some of the images.

        x[i, j] ← value + noise·N(0, 1)          in a rectangle of height √(s·r) and width √(s/r)

    Arguments:
        rate: the probability that an image is changed, in [0, 1].
        area: the rectangle's share s of the image's area, from one number to the other, in [0, 1].
        ratio: height over width r, from one number to the other, > 0.
        value, noise: what is written: a number, and noise around it. 0 is the mean of standardized images.

    Returns:
        A `RandomErasing` record for images [B, H, W, C] of any dtype. Of ten rectangles the first that lies
        within the image is taken; where none does, nothing is erased.

    Raises:
        ValueError: a number outside its interval.

    Example:
        >>> x, _ = random_erasing(1.0, area=0.25, ratio=1.0)(jax.random.key(0), jnp.ones((2, 8, 8, 1)))
        >>> (x == 0).sum(axis=(1, 2, 3))
        Array([16, 16], dtype=int32)

    Source: Zhong et al. 2020, algorithm 1, which overwrites with random numbers.

    Elsewhere: `torchvision.transforms.RandomErasing` draws the logarithm of the ratio, and areas up to 0.33.
    """
    return RandomErasing(
        check_rate("random_erasing(rate)", rate),
        check_pair("random_erasing(area)", area, "[0, 1]"),
        check_pair("random_erasing(ratio)", ratio, "(0, inf)"),
        check_number("random_erasing(value)", value),
        check_number("random_erasing(noise)", noise, "[0, inf)"),
    )

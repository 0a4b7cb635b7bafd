"""Flips: a mirror image is as good an example, where left and right mean the same."""

import jax
import jax.numpy as jnp

from jaxopt_notes.data.augmentation.augmentation import Augmentation, check_rate, chosen, each, images
from jaxopt_notes.record import Number, check_choice, record, static

__all__ = ["RandomFlip", "random_flip"]

AXES = {"vertical": 1, "horizontal": 2}


@record
class RandomFlip(Augmentation):
    """See `random_flip`."""

    rate: Number
    direction: str = static()

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        x = images("random_flip", x)
        flipped = each(chosen(key, self.rate, x.shape[:1]), jnp.zeros(x.shape, bool))
        return jnp.where(flipped, jnp.flip(x, AXES[self.direction]), x)


def random_flip(rate: Number = 0.5, direction: str = "horizontal") -> RandomFlip:
    """Each image is mirrored with a given probability.

        x[i, j] ← x[i, W − 1 − j]

    Arguments:
        rate: the probability, in [0, 1].
        direction: "horizontal" exchanges left and right, "vertical" top and bottom.

    Returns:
        A `RandomFlip` record for images [B, H, W, C] of any dtype.

    Raises:
        ValueError: a rate outside [0, 1], or another direction.

    Example:
        >>> x, _ = random_flip(1.0)(jax.random.key(0), jnp.array([1, 2, 3]).reshape(1, 1, 3, 1))
        >>> x.ravel()
        Array([3, 2, 1], dtype=int32)

    Source: Krizhevsky, Sutskever & Hinton 2012, section 4.1.

    Elsewhere: `torchvision.transforms.RandomHorizontalFlip`.
    """
    choice = check_choice("random_flip(direction)", direction, tuple(AXES))
    return RandomFlip(check_rate("random_flip(rate)", rate), choice)

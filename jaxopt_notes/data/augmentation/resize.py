"""Other sizes: images resized, and random parts of random size brought to one size."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data.augmentation.affine import affine_transform
from jaxopt_notes.data.augmentation.augmentation import Augmentation, check_pair, images, in_floats
from jaxopt_notes.data.augmentation.boxes import random_boxes
from jaxopt_notes.data.augmentation.crop import check_size
from jaxopt_notes.record import Number, record, static

__all__ = ["RandomResizedCrop", "random_resized_crop", "resize"]


def resize(x: ArrayLike, size: int | tuple[int, int], *, antialias: bool = True) -> jax.Array:
    """Images of another size, by bilinear interpolation.

        y[i] = Σₖ x[k]·w(k − i')/Σₖ w(k − i'),   i' = (i + ½)·H/h − ½,   w(d) = max(0, 1 − |d|/s)

    Arguments:
        x: images [B, H, W, C].
        size: height and width (h, w), static; one number for both.
        antialias: when shrinking, average over all pixels (s = H/h) instead of the two nearest (s = 1).

    Returns:
        [B, *size, C] in the dtype of x.

    Raises:
        ValueError: no images, a size below 1.

    Example:
        >>> resize(jnp.arange(4.0).reshape(1, 1, 4, 1), (1, 2), antialias=False).ravel()
        Array([0.5, 2.5], dtype=float32)

    Elsewhere: `jax.image.resize(method="linear")`, `torchvision.transforms.Resize`.
    """
    x, (height, width) = images("resize", x), check_size("resize(size)", size)
    shape = (x.shape[0], height, width, x.shape[3])
    return in_floats(lambda x: jax.image.resize(x, shape, "linear", antialias), x)


@record
class RandomResizedCrop(Augmentation):
    """See `random_resized_crop`."""

    area: tuple[Number, Number]
    ratio: tuple[Number, Number]
    size: tuple[int, int] | None = static()

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        x = images("random_resized_crop", x)
        height, width = self.size or x.shape[1:3]
        box, found = random_boxes(key, x.shape, self.area, self.ratio, log=True)
        h, w = jnp.where(found, box.height, x.shape[1]), jnp.where(found, box.width, x.shape[2])
        top, left = jnp.where(found, box.top, 0), jnp.where(found, box.left, 0)
        zero = jnp.zeros_like(h)
        matrix = jnp.stack([h / height, zero, zero, w / width], axis=-1).reshape(-1, 2, 2)
        middle = jnp.stack([top + (h - x.shape[1]) / 2, left + (w - x.shape[2]) / 2], axis=-1)
        return affine_transform(x, matrix, middle, (height, width), "nearest")


def random_resized_crop(
    area: Any = (0.08, 1.0), ratio: Any = (3 / 4, 4 / 3), size: int | tuple[int, int] | None = None
) -> RandomResizedCrop:
    """A random part of each image, brought to one size.

        share of the area ~ U(area),   log(height/width) ~ U(log ratio),   place ~ U

    Arguments:
        area: the part's share of the image's area, from one number to the other, in [0, 1].
        ratio: height over width, from one number to the other, > 0.
        size: height and width of the result, static; by default those of the image.

    Returns:
        A `RandomResizedCrop` record for images [B, H, W, C] of any dtype. Of ten parts the first that lies
        within the image is taken, and where none does, all of it.

    Raises:
        ValueError: a number outside its interval.

    Example:
        >>> random_resized_crop(size=224)(jax.random.key(0), jnp.ones((2, 256, 320, 3)))[0].shape
        (2, 224, 224, 3)

    Source: Szegedy et al. 2015, section 6.

    Elsewhere: `torchvision.transforms.RandomResizedCrop` averages when it shrinks, as `resize` does.
    """
    return RandomResizedCrop(
        check_pair("random_resized_crop(area)", area, "[0, 1]"),
        check_pair("random_resized_crop(ratio)", ratio, "(0, inf)"),
        None if size is None else check_size("random_resized_crop(size)", size),
    )

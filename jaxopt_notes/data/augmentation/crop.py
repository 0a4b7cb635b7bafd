"""Crops: parts of images, and images moved by whole pixels.

What lies outside an image is made up by a *mode*: "constant" is a number, "nearest" the pixel at the edge,
"reflect" the image in a mirror behind its edge, "wrap" the image once more.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data.augmentation.augmentation import Augmentation, images
from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_count, check_number, record, static

__all__ = ["RandomCrop", "center_crop", "crop", "random_crop", "ten_crop"]

MODES = ("constant", "nearest", "reflect", "wrap")


def crop(
    x: ArrayLike,
    top: ArrayLike,
    left: ArrayLike,
    size: int | tuple[int, int],
    mode: str = "constant",
    fill: Number = 0.0,
) -> jax.Array:
    """A part of each image; what lies outside is made up.

        y[i, j] = x[top + i, left + j]

    Arguments:
        x: images [B, H, W, C].
        top, left: whole numbers, one or [B]; negative ones begin outside. They may be traced.
        size: height and width of the part, static; one number for both.
        mode: "constant", "nearest", "reflect" (d c b a | a b c d | d c b a) or "wrap", for what is outside.
        fill: the number of "constant".

    Returns:
        [B, *size, C].

    Raises:
        ValueError: no images, an unknown mode, a size below 1.

    Example:
        >>> crop(jnp.arange(9).reshape(1, 3, 3, 1), 1, 1, 3)[0, :, :, 0]
        Array([[4, 5, 0],
               [7, 8, 0],
               [0, 0, 0]], dtype=int32)

    Elsewhere: the modes are those of scipy.ndimage, where "constant" is called "grid-constant" and "wrap"
    "grid-wrap".
    """
    x = images("crop", x)
    height, width = check_size("crop(size)", size)
    check_choice("crop(mode)", mode, MODES)

    def row(start: Any, length: int) -> jax.Array:
        start = jnp.broadcast_to(jnp.asarray(start, jnp.int32), x.shape[:1])
        return start[:, None] + jnp.arange(length, dtype=jnp.int32)[None]

    rows, columns = row(top, height)[:, :, None], row(left, width)[:, None, :]
    place = jnp.arange(len(x), dtype=jnp.int32)[:, None, None]
    y = x[place, _inside(rows, x.shape[1], mode), _inside(columns, x.shape[2], mode)]
    if mode != "constant":
        return y
    there = (rows >= 0) & (rows < x.shape[1]) & (columns >= 0) & (columns < x.shape[2])
    return jnp.where(there[..., None], y, as_hyperparameter(fill).astype(x.dtype))


def _inside(place: jax.Array, n: int, mode: str) -> jax.Array:
    """The place in 0 … n − 1 that has what is found at any place."""
    if mode == "wrap":
        return place % n
    if mode == "reflect":
        place = place % (2 * n)
        return jnp.minimum(place, 2 * n - 1 - place)
    return jnp.clip(place, 0, n - 1)


def center_crop(x: ArrayLike, size: int | tuple[int, int]) -> jax.Array:
    """The middle of each image, as for evaluation where training has `random_crop`.

    Arguments:
        x: images [B, H, W, C].
        size: height and width, static; one number for both.

    Returns:
        [B, *size, C]. Where an odd number of pixels is left over, the larger half is below and on the right.

    Raises:
        ValueError: the size exceeds the images.

    Example:
        >>> center_crop(jnp.ones((2, 256, 256, 3)), 224).shape
        (2, 224, 224, 3)

    Elsewhere: `torchvision.transforms.CenterCrop` rounds a half to even, and pads images that are too small.
    """
    x = images("center_crop", x)
    (height, width), (h, w) = check_size("center_crop(size)", size), x.shape[1:3]
    _check_fits("center_crop", x, height, width)
    return crop(x, (h - height) // 2, (w - width) // 2, (height, width))


def ten_crop(x: ArrayLike, size: int | tuple[int, int]) -> jax.Array:
    """Four corners and the middle of each image, and their mirror images: what a network is averaged over.

    Arguments:
        x: images [B, H, W, C].
        size: height and width, static; one number for both.

    Returns:
        [B, 10, *size, C]: top left, top right, bottom left, bottom right, middle, then the five mirrored.

    Raises:
        ValueError: the size exceeds the images.

    Example:
        >>> ten_crop(jnp.ones((2, 256, 256, 3)), 224).shape
        (2, 10, 224, 224, 3)

    Source: Krizhevsky, Sutskever & Hinton 2012, section 4.1.
    """
    x = images("ten_crop", x)
    (height, width), (h, w) = check_size("ten_crop(size)", size), x.shape[1:3]
    _check_fits("ten_crop", x, height, width)
    corners = [x[:, i : i + height, j : j + width] for i in (0, h - height) for j in (0, w - width)]
    five = jnp.stack([*corners, center_crop(x, (height, width))], axis=1)
    return jnp.concatenate([five, jnp.flip(five, axis=3)], axis=1)


@record
class RandomCrop(Augmentation):
    """See `random_crop`."""

    padding: Number
    fill: Number
    size: tuple[int, int] | None = static()
    mode: str = static()

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        x = images("random_crop", x)
        height, width = self.size or x.shape[1:3]
        _check_fits("random_crop", x, height, width)
        padding = jnp.round(as_hyperparameter(self.padding))
        left_over = jnp.array([x.shape[1] - height, x.shape[2] - width], jnp.float32)
        choices = left_over[:, None].astype(padding.dtype) + 2 * padding + 1
        draws = as_vector(lambda shape: jax.random.uniform(key, shape, jnp.float32), (2, len(x)))
        draws = draws.astype(padding.dtype)
        top, left = (jnp.floor(draws * choices) - padding).astype(jnp.int32)
        return crop(x, top, left, (height, width), self.mode, self.fill)


def random_crop(
    padding: Number = 0.0,
    size: int | tuple[int, int] | None = None,
    *,
    mode: str = "constant",
    fill: Number = 0.0,
) -> RandomCrop:
    """A part of each image at a random place, after the image has been padded.

        y[i, j] = x[top + i, left + j],   top from −p … H − h + p, left likewise, all alike

    Arguments:
        padding: p ≥ 0, pixels on every side, rounded to a whole number.
        size: height and width (h, w) of the part, static; by default those of the image, and then the
            image is moved by up to p pixels.
        mode, fill: what the padding is, see `crop`.

    Returns:
        A `RandomCrop` record for images [B, H, W, C] of any dtype.

    Raises:
        ValueError: a negative padding, an unknown mode; when called, a size that exceeds the images.

    Example:
        >>> x, _ = random_crop(padding=4)(jax.random.key(0), jnp.ones((8, 32, 32, 3)))
        >>> x.shape
        (8, 32, 32, 3)

    Source: He et al. 2016, section 4.2: padding 4, size 32. Krizhevsky et al. 2012: 224 of 256.

    Elsewhere: `torchvision.transforms.RandomCrop`; its "reflect" leaves the edge out.
    """
    return RandomCrop(
        check_number("random_crop(padding)", padding, "[0, inf)", "it is a number of pixels"),
        check_number("random_crop(fill)", fill),
        None if size is None else check_size("random_crop(size)", size),
        check_choice("random_crop(mode)", mode, MODES),
    )


def check_size(where: str, size: Any) -> tuple[int, int]:
    """Height and width; a single number is both."""
    height, width = size if isinstance(size, tuple | list) else (size, size)
    return check_count(where, height, 1), check_count(where, width, 1)


def _check_fits(where: str, x: jax.Array, height: int, width: int) -> None:
    if height > x.shape[1] or width > x.shape[2]:
        raise ValueError(
            f"{where}(size) is {(height, width)}, expected at most {x.shape[1:3]}, the size of the images: "
            f"resize them first."
        )

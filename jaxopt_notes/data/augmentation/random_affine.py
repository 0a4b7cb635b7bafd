"""Random rotation, shear, translation and stretching of images, each alone or all in one interpolation.

All are one record: what a factory does not name has the strength 0. Several at once are best made by one
`random_affine`, which looks every pixel up once, where a composition would blur the image several times.
"""

from typing import Any

import jax

from jaxopt_notes.data.augmentation.affine import affine_transform, inverse_matrix
from jaxopt_notes.data.augmentation.augmentation import Augmentation, check_pair, images, symmetric
from jaxopt_notes.data.augmentation.crop import MODES
from jaxopt_notes.record import Number, check_choice, check_number, record, static

__all__ = [
    "RandomAffine",
    "random_affine",
    "random_rotation",
    "random_shear",
    "random_stretch",
    "random_translation",
]


@record
class RandomAffine(Augmentation):
    """See `random_affine`."""

    degrees: Number
    shear: Number
    translation: tuple[Number, Number]
    stretch: tuple[Number, Number]
    zoom: Number
    fill: Number
    mode: str = static()

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        x = images("random_affine", x)
        strengths = (self.degrees, self.shear, *self.translation, *self.stretch, self.zoom)
        keys = jax.random.split(key, len(strengths))
        drawn = [symmetric(key, strength, len(x)) for key, strength in zip(keys, strengths, strict=True)]
        degrees, shear, down, right, height, width, zoom = drawn
        inverse = inverse_matrix(degrees, shear, (1 + height) * (1 + zoom), (1 + width) * (1 + zoom))
        moved = -(inverse[:, :, 0] * down[:, None] + inverse[:, :, 1] * right[:, None])
        return affine_transform(x, inverse, moved, mode=self.mode, fill=self.fill)


def random_affine(
    degrees: Number = 0.0,
    *,
    shear: Number = 0.0,
    translation: Any = 0.0,
    stretch: Any = 0.0,
    zoom: Number = 0.0,
    mode: str = "constant",
    fill: Number = 0.0,
) -> RandomAffine:
    """Each image stretched, slanted, turned about its middle and moved, all at random, in this order.

        angle ~ U(−degrees, degrees), factor ~ U(1 − s, 1 + s), distance ~ U(−t, t), …

    Arguments:
        degrees: the largest rotation, ≥ 0.
        shear: the largest angle by which vertical lines lean, in degrees, in [0, 90).
        translation: the largest distance in pixels, ≥ 0; one number, or two (vertical, horizontal).
        stretch: s, by how much a factor differs from 1 at most, in [0, 1); one number, or two (vertical,
            horizontal); the two directions are drawn apart.
        zoom: the same, one factor for both directions.
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        A `RandomAffine` record for images [B, H, W, C] of any dtype.

    Raises:
        ValueError: a number outside its interval, an unknown mode.

    Example:
        >>> augment = random_affine(10, translation=2, stretch=0.2)
        >>> augment(jax.random.key(0), jax.numpy.ones((8, 28, 28, 1)))[0].shape
        (8, 28, 28, 1)

    Source: Simard, Steinkraus & Platt 2003, section 2; the numbers of the example are those with which the
    study notes take 1,000 digits for 10,000.

    Elsewhere: `torchvision.transforms.RandomAffine` takes translations as shares of the size.
    """
    return RandomAffine(
        check_number("random_affine(degrees)", degrees, "[0, inf)"),
        check_number("random_affine(shear)", shear, "[0, 90)"),
        check_pair("random_affine(translation)", translation, "[0, inf)"),
        check_pair("random_affine(stretch)", stretch, "[0, 1)"),
        check_number("random_affine(zoom)", zoom, "[0, 1)"),
        check_number("random_affine(fill)", fill),
        check_choice("random_affine(mode)", mode, MODES),
    )


def random_rotation(degrees: Number = 10.0, *, mode: str = "constant", fill: Number = 0.0) -> RandomAffine:
    """Each image turned by a random angle of at most `degrees`.

    Arguments:
        degrees: the largest angle, ≥ 0; both directions are alike.
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        A `RandomAffine` record.

    Raises:
        ValueError: a number outside its interval, an unknown mode.

    Example:
        >>> random_rotation(10.0)(jax.random.key(0), jax.numpy.ones((8, 28, 28, 1)))[0].shape
        (8, 28, 28, 1)

    Elsewhere: `torchvision.transforms.RandomRotation` takes the nearest pixel unless told otherwise.
    """
    return random_affine(degrees, mode=mode, fill=fill)


def random_shear(shear: Number = 10.0, *, mode: str = "constant", fill: Number = 0.0) -> RandomAffine:
    """Each image slanted, so that vertical lines lean by a random angle of at most `shear`.

    Arguments:
        shear: the largest angle in degrees, in [0, 90).
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        A `RandomAffine` record.

    Raises:
        ValueError: a number outside its interval, an unknown mode.

    Example:
        >>> random_shear(10.0)(jax.random.key(0), jax.numpy.ones((8, 28, 28, 1)))[0].shape
        (8, 28, 28, 1)
    """
    return random_affine(shear=shear, mode=mode, fill=fill)


def random_translation(
    vertical: Number = 2.0, horizontal: Number = 2.0, *, mode: str = "constant", fill: Number = 0.0
) -> RandomAffine:
    """Each image moved by random numbers of pixels, fractions too.

    Arguments:
        vertical, horizontal: the largest distances in pixels, ≥ 0.
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        A `RandomAffine` record.

    Raises:
        ValueError: a number outside its interval, an unknown mode.

    Example:
        >>> random_translation(2.0, 0.0)(jax.random.key(0), jax.numpy.ones((8, 28, 28, 1)))[0].shape
        (8, 28, 28, 1)

    Elsewhere: `random_crop(padding)` moves by whole pixels.
    """
    return random_affine(translation=(vertical, horizontal), mode=mode, fill=fill)


def random_stretch(
    vertical: Number = 0.2, horizontal: Number = 0.2, *, mode: str = "constant", fill: Number = 0.0
) -> RandomAffine:
    """Each image stretched or shrunk by random factors, one for each direction.

    Arguments:
        vertical, horizontal: by how much the factors differ from 1 at most, in [0, 1): 0.2 for 0.8 to 1.2.
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        A `RandomAffine` record.

    Raises:
        ValueError: a number outside its interval, an unknown mode.

    Example:
        >>> random_stretch(0.2, 0.0)(jax.random.key(0), jax.numpy.ones((8, 28, 28, 1)))[0].shape
        (8, 28, 28, 1)

    Elsewhere: Keras' `RandomZoom`.
    """
    return random_affine(stretch=(vertical, horizontal), mode=mode, fill=fill)

"""Rectangles in images: where they lie, which pixels are inside, and random ones of given area and shape."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.data.augmentation.augmentation import between
from jaxopt_notes.record import Number

TRIES = 10


class Box(NamedTuple):
    """A rectangle of pixels in each image, all numbers [B]: from the row `top` on, `height` rows, …"""

    top: jax.Array
    left: jax.Array
    height: jax.Array
    width: jax.Array


def inside(box: Box, shape: tuple[int, ...]) -> jax.Array:
    """Which pixels of images of a shape [B, H, W, C] lie in the rectangles: bools [B, H, W, 1]."""

    def covered(first: Any, length: Any, n: int) -> jax.Array:
        place = jnp.arange(n, dtype=first.dtype)[None]
        return (place >= first[:, None]) & (place < (first + length)[:, None])

    rows, columns = covered(box.top, box.height, shape[1]), covered(box.left, box.width, shape[2])
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def random_boxes(
    key: jax.Array,
    shape: tuple[int, ...],
    area: tuple[Number, Number],
    ratio: tuple[Number, Number],
    log: bool,
) -> tuple[Box, jax.Array]:
    """A rectangle for each image that lies within it, and whether one was found.

    Its share of the image is uniform in `area`, its height over width uniform in `ratio` (the logarithm, if
    `log`). The first of ten draws that fits is taken, then any place is as likely as any other.
    """
    n, height, width = shape[:3]
    keys = jax.random.split(key, 4)
    share = between(keys[0], area, (n, TRIES))
    bounds = (jnp.log(jnp.asarray(ratio[0])), jnp.log(jnp.asarray(ratio[1]))) if log else ratio
    shapes = between(keys[1], bounds, (n, TRIES))
    shapes = jnp.exp(shapes) if log else shapes
    pixels = share * (height * width)
    h, w = jnp.round(jnp.sqrt(pixels * shapes)), jnp.round(jnp.sqrt(pixels / shapes))
    fits = (h <= height) & (w <= width) & (h > 0) & (w > 0)
    first = jnp.argmax(fits, axis=1)[:, None]
    h, w = (jnp.take_along_axis(side, first, axis=1)[:, 0] for side in (h, w))
    found = jnp.any(fits, axis=1)
    h, w = jnp.where(found, h, 0), jnp.where(found, w, 0)
    top, left = (
        jnp.floor(between(key, (0.0, 1.0), (n,)) * (free + 1))
        for key, free in zip(keys[2:], (height - h, width - w), strict=True)
    )
    return Box(top, left, h, w), found

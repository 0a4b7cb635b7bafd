"""Color jitter: brightness, contrast, saturation and hue of each image, changed at random.

The first three blend the image with another one, f·x + (1 − f)·z: with black, its mean grey, its own grey
picture. Hue turns the two color axes of the YIQ space.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.data.augmentation.augmentation import Augmentation, each, images, in_floats, symmetric
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record

__all__ = [
    "ColorJitter",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "color_jitter",
]

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601
YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def _grey(x: jax.Array) -> jax.Array:
    """[B, H, W, 1]: the luma of three channels, the mean of others."""
    if x.shape[-1] == 3:
        return jnp.sum(x * jnp.array([[[LUMA]]], x.dtype), axis=-1, keepdims=True)
    return jnp.mean(x, axis=-1, keepdims=True)


def _blend(x: jax.Array, other: jax.Array, factor: ArrayLike) -> jax.Array:
    factor = each(factor, x)
    return factor * x + (1 - factor) * other


def adjust_brightness(x: ArrayLike, factor: ArrayLike) -> jax.Array:
    """Images made brighter or darker.

        x ← f·x

    Arguments:
        x: images [B, H, W, C].
        factor: f, one or [B]; 1 changes nothing, 0 makes black.

    Returns:
        [B, H, W, C], not clipped to any interval, but whole numbers to their dtype's.

    Example:
        >>> adjust_brightness(jnp.ones((1, 1, 1, 3)), 0.5).ravel()
        Array([0.5, 0.5, 0.5], dtype=float32)
    """
    return in_floats(lambda x: each(factor, x) * x, images("adjust_brightness", x))


def adjust_contrast(x: ArrayLike, factor: ArrayLike) -> jax.Array:
    """Images with more or less contrast.

        x ← f·x + (1 − f)·(mean grey of the image)

    Arguments:
        x: images [B, H, W, C]; grey is 0.299 R + 0.587 G + 0.114 B, or else the mean of the channels.
        factor: f, one or [B]; 1 changes nothing, 0 makes one grey.

    Returns:
        [B, H, W, C], not clipped to any interval, but whole numbers to their dtype's.

    Example:
        >>> adjust_contrast(jnp.array([0.0, 1.0]).reshape(1, 1, 2, 1), 0.5).ravel()
        Array([0.25, 0.75], dtype=float32)
    """

    def adjusted(x: jax.Array) -> jax.Array:
        return _blend(x, jnp.mean(_grey(x), axis=(1, 2, 3), keepdims=True), factor)

    return in_floats(adjusted, images("adjust_contrast", x))


def adjust_saturation(x: ArrayLike, factor: ArrayLike) -> jax.Array:
    """Images with more or less color.

        x ← f·x + (1 − f)·grey(x)

    Arguments:
        x: images [B, H, W, C]; grey as for `adjust_contrast`, so that of one channel nothing changes.
        factor: f, one or [B]; 1 changes nothing, 0 makes grey pictures.

    Returns:
        [B, H, W, C], not clipped to any interval, but whole numbers to their dtype's.

    Example:
        >>> adjust_saturation(jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3), 0.0).ravel()
        Array([0.299, 0.299, 0.299], dtype=float32)
    """
    x = images("adjust_saturation", x)
    return x if x.shape[-1] == 1 else in_floats(lambda x: _blend(x, _grey(x), factor), x)


def adjust_hue(x: ArrayLike, turns: ArrayLike) -> jax.Array:
    """Images with their colors turned around the color circle.

        x ← x·T⁻¹·R(2π·turns)·T          T: from RGB to YIQ; R turns I and Q, and leaves the luma Y

    Arguments:
        x: images [B, H, W, 3]; images of another number of channels stay as they are.
        turns: the share of a full circle, one or [B]; whole numbers change nothing.

    Returns:
        [B, H, W, C], not clipped to any interval, but whole numbers to their dtype's.

    Example:
        >>> grey = jnp.full((1, 1, 1, 3), 0.5)
        >>> adjust_hue(grey, 0.3).ravel().round(4)
        Array([0.5, 0.5, 0.5], dtype=float32)

    Elsewhere: torchvision turns the hue of the HSV space, which leaves the largest channel, not the luma.
    """
    x = images("adjust_hue", x)
    if x.shape[-1] != 3:
        return x
    # R = 1 + sin·K − (1 − cos)·P: at an angle of 0 nothing is added.
    inverse = np.linalg.inv(YIQ)
    turning = inverse @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ YIQ
    colors = inverse @ np.diag([0.0, 1, 1]) @ YIQ
    angle = 2 * jnp.pi * as_hyperparameter(turns)

    def adjusted(x: jax.Array) -> jax.Array:
        both = jnp.array(np.concatenate([turning, colors]).T, x.dtype)
        turned, color = jnp.split(jnp.matmul(x, both, precision=lax.Precision.HIGHEST), 2, axis=-1)
        return x + each(jnp.sin(angle), x) * turned - each(1 - jnp.cos(angle), x) * color

    return in_floats(adjusted, x)


@record
class ColorJitter(Augmentation):
    """See `color_jitter`."""

    brightness: Number
    contrast: Number
    saturation: Number
    hue: Number

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        x = images("color_jitter", x)
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        keys = jax.random.split(key, 4)
        drawn = [symmetric(key, strength, len(x)) for key, strength in zip(keys, strengths, strict=True)]
        brightness, contrast, saturation, hue = drawn

        def jittered(x: jax.Array) -> jax.Array:
            x = adjust_contrast(adjust_brightness(x, 1 + brightness), 1 + contrast)
            return adjust_hue(adjust_saturation(x, 1 + saturation), hue)

        return in_floats(jittered, x)  # rounded once


def color_jitter(
    brightness: Number = 0.0, contrast: Number = 0.0, saturation: Number = 0.0, hue: Number = 0.0
) -> ColorJitter:
    """Brightness, contrast, saturation and hue of each image are changed at random, in this order.

        factor ~ U(1 − s, 1 + s)          hue: turns ~ U(−s, s)

    Arguments:
        brightness, contrast, saturation: by how much the factors differ from 1 at most, in [0, 1].
        hue: the largest share of the color circle, in [0, 0.5].

    Returns:
        A `ColorJitter` record for images [B, H, W, C] of any dtype. Grey images have no saturation and no
        hue. Nothing is clipped, but whole numbers to their dtype's interval.

    Raises:
        ValueError: a number outside its interval.

    Example:
        >>> augment = color_jitter(0.4, 0.4, 0.4, 0.1)
        >>> augment(jax.random.key(0), jnp.ones((8, 32, 32, 3)))[0].shape
        (8, 32, 32, 3)

    Source: Howard 2013, section 2; the blends: Haeberli & Voorhies 1994.

    Elsewhere: `torchvision.transforms.ColorJitter` takes the four in random order, clips each to [0, 1], and
    turns the hue of HSV.
    """
    return ColorJitter(
        check_number("color_jitter(brightness)", brightness, "[0, 1]", "0 switches it off"),
        check_number("color_jitter(contrast)", contrast, "[0, 1]", "0 switches it off"),
        check_number("color_jitter(saturation)", saturation, "[0, 1]", "0 switches it off"),
        check_number("color_jitter(hue)", hue, "[0, 0.5]", "it is a share of a full turn"),
    )

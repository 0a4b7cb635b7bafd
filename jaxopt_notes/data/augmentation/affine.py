"""Affine maps of images: the one mechanism of rotation, shear, translation, stretching and resized crops.

Each pixel of the result is looked up in the image, at the place that the *inverse* of the map says, between
four pixels (bilinear interpolation). All four are fetched at once, by one gather of 2×2 windows.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.data.augmentation.augmentation import images, in_floats
from jaxopt_notes.data.augmentation.crop import MODES, check_size
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice

__all__ = ["affine_transform", "rotate", "shear", "stretch", "translate"]


def affine_transform(
    x: ArrayLike,
    matrix: ArrayLike,
    offset: ArrayLike = 0.0,
    size: int | tuple[int, int] | None = None,
    mode: str = "constant",
    fill: Number = 0.0,
) -> jax.Array:
    """Images seen through affine maps, with bilinear interpolation.

        y[o] = x[A·(o − c_y) + c_x + b]          c: the middle of the image, ((H − 1)/2, (W − 1)/2)

    Arguments:
        x: images [B, H, W, C].
        matrix: A, [2, 2] or [B, 2, 2]: from offsets (row, column) in the result to offsets in the image.
        offset: b, a number, [2] or [B, 2], in pixels of the image.
        size: height and width of the result, static; by default those of the image.
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        [B, *size, C] in the dtype of x. A pixel that is looked up at a whole place comes back exactly.

    Raises:
        ValueError: no images, or an unknown mode.

    Example:
        >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
        >>> affine_transform(x, jnp.array([[0.0, 1.0], [-1.0, 0.0]]))[0, :, :, 0]  # turned by 90°
        Array([[1., 3.],
               [0., 2.]], dtype=float32)

    Elsewhere: `scipy.ndimage.affine_transform(order=1)` measures from the corner instead of the middle.
    """
    x = images("affine_transform", x)
    height, width = x.shape[1:3] if size is None else check_size("affine_transform(size)", size)
    check_choice("affine_transform(mode)", mode, MODES)
    a = jnp.broadcast_to(as_hyperparameter(matrix), (len(x), 2, 2))
    b = jnp.broadcast_to(as_hyperparameter(offset), (len(x), 2))
    kind = a.dtype
    i = (jnp.arange(height, dtype=kind) - (height - 1) / 2)[None, :, None]
    j = (jnp.arange(width, dtype=kind) - (width - 1) / 2)[None, None, :]
    rows, columns = (
        a[:, k, 0, None, None] * i + a[:, k, 1, None, None] * j + (n - 1) / 2 + b[:, k, None, None]
        for k, n in enumerate(x.shape[1:3])
    )
    return in_floats(lambda x: _bilinear(x, rows, columns, mode, as_hyperparameter(fill)), x)


def _bilinear(x: jax.Array, rows: jax.Array, columns: jax.Array, mode: str, fill: jax.Array) -> jax.Array:
    """The images between their pixels, at rows and columns [B, h, w]."""
    n, height, width, channels = x.shape
    corner_r, of_row = _corner(rows, height, mode)
    corner_c, of_column = _corner(columns, width, mode)
    border = ((0, 0), (1, 1), (1, 1), (0, 0))
    if mode == "constant":  # with jax 0.10 jnp.pad has no gradient with respect to the constant alone
        there = jnp.pad(jnp.ones((1, height, width, 1), bool), border)
        x = jnp.where(there, jnp.pad(x, border), fill.astype(x.dtype))
    else:
        x = jnp.pad(x, border, "wrap" if mode == "wrap" else "edge")
    corners = jnp.stack([corner_r, corner_c], axis=-1).reshape(n, -1, 2)
    windows = lax.GatherDimensionNumbers(
        offset_dims=(1, 2, 3), collapsed_slice_dims=(), start_index_map=(0, 1)
    )

    def look_up(image: jax.Array, corners: jax.Array) -> jax.Array:
        return lax.gather(image, corners, windows, (2, 2, channels), mode="promise_in_bounds")

    four = jax.vmap(look_up)(x, corners).reshape(*rows.shape, 2, 2, channels)
    by_row, by_column = (
        jnp.stack([1 - share, share], axis=-1).astype(x.dtype) for share in (of_row, of_column)
    )
    return jnp.einsum("bijuvc,biju,bijv->bijc", four, by_row, by_column, precision=lax.Precision.HIGHEST)


def _corner(place: jax.Array, n: int, mode: str) -> tuple[jax.Array, jax.Array]:
    """The first of the two pixels around a place, counted from a border of one, and the second's share."""
    if mode == "wrap":
        place = place % n
    elif mode == "reflect":
        place = (place + 0.5) % (2 * n)
        place = jnp.minimum(place, 2 * n - place) - 0.5
    outside = 1 if mode in ("constant", "wrap") else 0
    place = jnp.clip(place, -outside, n - 1 + outside)
    first = jnp.clip(jnp.floor(lax.stop_gradient(place)), -1, n - 1)
    return first.astype(jnp.int32) + 1, place - first


def inverse_matrix(
    degrees: ArrayLike = 0.0, shear: ArrayLike = 0.0, height: ArrayLike = 1.0, width: ArrayLike = 1.0
) -> jax.Array:
    """The inverse of stretching, then shearing, then rotating: [2, 2], or [B, 2, 2] from numbers [B].

    Example:
        >>> inverse_matrix(height=2.0)[0].tolist()
        [0.5, 0.0]
    """
    degrees, shear, height, width = map(as_hyperparameter, (degrees, shear, height, width))
    cos, sin = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
    t = jnp.tan(jnp.deg2rad(shear))
    entries = [cos / height, sin / height, (-sin - t * cos) / width, (cos - t * sin) / width]
    shape = jnp.broadcast_shapes(*map(jnp.shape, entries))
    return jnp.stack([jnp.broadcast_to(entry, shape) for entry in entries], -1).reshape(*shape, 2, 2)


def rotate(x: ArrayLike, degrees: ArrayLike, mode: str = "constant", fill: Number = 0.0) -> jax.Array:
    """Images turned about their middle, counter-clockwise.

    Arguments:
        x: images [B, H, W, C].
        degrees: the angle, one or [B].
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        [B, H, W, C]: corners that leave the frame are lost.

    Example:
        >>> rotate(jnp.arange(4.0).reshape(1, 2, 2, 1), 90.0)[0, :, :, 0].round(4)
        Array([[1., 3.],
               [0., 2.]], dtype=float32)

    Elsewhere: `scipy.ndimage.rotate(order=1, reshape=False)`; `numpy.rot90` turns the same way.
    """
    return affine_transform(x, inverse_matrix(degrees=degrees), mode=mode, fill=fill)


def shear(x: ArrayLike, degrees: ArrayLike, mode: str = "constant", fill: Number = 0.0) -> jax.Array:
    """Images slanted: each row moves right by tan φ times its distance below the middle.

    Arguments:
        x: images [B, H, W, C].
        degrees: the angle φ by which a vertical line leans, one or [B].
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        [B, H, W, C].

    Example:
        >>> shear(jnp.eye(3)[None, :, :, None], -45.0)[0, :, :, 0].round(4)
        Array([[0., 1., 0.],
               [0., 1., 0.],
               [0., 1., 0.]], dtype=float32)
    """
    return affine_transform(x, inverse_matrix(shear=degrees), mode=mode, fill=fill)


def translate(
    x: ArrayLike, down: ArrayLike, right: ArrayLike, mode: str = "constant", fill: Number = 0.0
) -> jax.Array:
    """Images moved by any numbers of pixels, fractions too.

    Arguments:
        x: images [B, H, W, C].
        down, right: by how many pixels, one or [B] each.
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        [B, H, W, C].

    Example:
        >>> translate(jnp.arange(4.0).reshape(1, 1, 4, 1), 0.0, 0.5).ravel()
        Array([0. , 0.5, 1.5, 2.5], dtype=float32)

    Elsewhere: `scipy.ndimage.shift(order=1)`; `crop` moves by whole pixels without arithmetic.
    """
    moved = jnp.broadcast_arrays(as_hyperparameter(down), as_hyperparameter(right))
    return affine_transform(x, inverse_matrix(), -jnp.stack(moved, axis=-1), mode=mode, fill=fill)


def stretch(
    x: ArrayLike, height: ArrayLike, width: ArrayLike, mode: str = "constant", fill: Number = 0.0
) -> jax.Array:
    """Images stretched about their middle, in a frame that stays.

    Arguments:
        x: images [B, H, W, C].
        height, width: the factors, one or [B] each: above 1 stretches, below 1 shrinks.
        mode, fill: what lies outside the image, see `crop`.

    Returns:
        [B, H, W, C].

    Example:
        >>> stretch(jnp.arange(3.0).reshape(1, 1, 3, 1), 1.0, 2.0).ravel()
        Array([0.5, 1. , 1.5], dtype=float32)
    """
    return affine_transform(x, inverse_matrix(height=height, width=width), mode=mode, fill=fill)

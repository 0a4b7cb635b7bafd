"""Crops, flips and sizes against NumPy's padding and slicing, and against SciPy and torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import center_crop, crop, random_crop, random_flip, resize, ten_crop
from tests.compiled import compiled

PADS = {"constant": "constant", "nearest": "edge", "reflect": "symmetric", "wrap": "wrap"}
X = np.arange(3 * 5 * 6 * 2).reshape(3, 5, 6, 2).astype(np.int32)


@pytest.mark.notes("S3-36")
def test_crops_are_slices_of_the_padded_image():
    top, left = np.array([-3, 0, 4]), np.array([2, -2, 3])
    found = jax.jit(lambda x: [crop(x, top, left, (4, 5), mode, 7.0) for mode in PADS])(X)
    for y, pad in zip(found, PADS.values(), strict=True):
        options = {"constant_values": 7} if pad == "constant" else {}
        for i in range(3):
            padded = np.pad(X[i], ((5, 5), (5, 5), (0, 0)), pad, **options)
            expected = padded[5 + top[i] : 9 + top[i], 5 + left[i] : 10 + left[i]]
            np.testing.assert_array_equal(y[i], expected, err_msg=pad)


@pytest.mark.notes("S3-36", "S1-74")
def test_random_crops_are_crops_and_all_places_are_alike():
    """Each pixel says where it was; of 4 + 2·1 rows 3 are taken, from 4 places."""
    x = jnp.broadcast_to(jnp.arange(1, 17, dtype=jnp.int32).reshape(1, 4, 4, 1), (4000, 4, 4, 1))
    y = np.asarray(jax.jit(random_crop(1.0, 3))(jax.random.key(0), x)[0])[..., 0]
    top, left = (y[:, 1, 1] - 1) // 4 - 1, (y[:, 1, 1] - 1) % 4 - 1
    padded = np.pad(np.arange(1, 17).reshape(4, 4), 1)
    for image, i, j in zip(y[:200], top, left, strict=False):
        np.testing.assert_array_equal(image, padded[1 + i : 4 + i, 1 + j : 4 + j])
    counts = np.zeros((4, 4))
    np.add.at(counts, (top + 1, left + 1), 1)
    np.testing.assert_allclose(counts, 250, atol=5 * np.sqrt(250))


@pytest.mark.notes("S3-36")
def test_the_middle_and_the_corners():
    images = X.astype(np.float32)
    np.testing.assert_array_equal(compiled(center_crop)(images, (3, 3)), images[:, 1:4, 1:4])
    ten = np.asarray(compiled(ten_crop)(images, (2, 3)))
    parts = [images[:, i : i + 2, j : j + 3] for i, j in [(0, 0), (0, 3), (3, 0), (3, 3), (1, 1)]]
    np.testing.assert_array_equal(ten[:, :5], np.stack(parts, axis=1))
    np.testing.assert_array_equal(ten[:, 5:], ten[:, :5, :, ::-1])
    with pytest.raises(ValueError, match=r"center_crop\(size\) is \(6, 6\), expected at most \(5, 6\)"):
        center_crop(images, 6)
    with pytest.raises(ValueError, match=r"random_crop was given shape \(5, 6\), .*reshape"):
        random_crop()(jax.random.key(0), images[0, :, :, 0])


@pytest.mark.notes("S3-37")
def test_a_flip_is_a_mirror_image_with_its_probability():
    images = jnp.asarray(np.broadcast_to(X[:1], (2000, 5, 6, 2)))
    for direction, axis in {"vertical": 1, "horizontal": 2}.items():
        flip = random_flip(0.3, direction)
        y = np.asarray(jax.jit(flip)(jax.random.key(0), images)[0])
        mirrored = (y == np.flip(images, axis)).all(axis=(1, 2, 3))
        assert (mirrored | (y == images).all(axis=(1, 2, 3))).all()
        assert abs(mirrored.mean() - 0.3) < 5 * np.sqrt(0.21 / 2000)
    always = random_flip(1.0)
    twice, _ = always(jax.random.key(1), always(jax.random.key(0), images)[0])
    np.testing.assert_array_equal(twice, images)
    with pytest.raises(ValueError, match=r"random_flip\(direction\) is 'left'"):
        random_flip(0.5, "left")


@pytest.mark.notes("S3-36")
@pytest.mark.usefixtures("x64")
def test_resizing_is_interpolation_by_triangles():
    """As matrices, from the formula: a triangle as wide as the step when shrinking, else as a pixel."""
    x = np.random.default_rng(0).uniform(size=(2, 5, 6, 1))

    def weights(n, size, antialias):
        place = (np.arange(size) + 0.5) * n / size - 0.5
        scale = max(n / size, 1) if antialias else 1
        w = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(n)) / scale)
        return w / w.sum(axis=1, keepdims=True)

    for size, antialias in [((3, 4), True), ((3, 4), False), ((8, 11), True)]:
        rows, columns = weights(5, size[0], antialias), weights(6, size[1], antialias)
        expected = np.einsum("ih,bhwc,jw->bijc", rows, x, columns)
        np.testing.assert_allclose(resize(x, size, antialias=antialias), expected, rtol=1e-9)

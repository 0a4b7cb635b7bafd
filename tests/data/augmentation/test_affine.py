"""Affine maps against scipy.ndimage, and what is drawn, read off a picture of the coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxopt_notes.data import affine_transform, random_affine, random_resized_crop, rotate, shear, stretch
from jaxopt_notes.data import translate as translate_images

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(3, 7, 9, 2))
MODES = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect", "wrap": "grid-wrap"}
MATRICES = np.eye(2) + RNG.normal(0, 0.4, size=(3, 2, 2))
OFFSETS = RNG.normal(0, 2, size=(3, 2))


def by_scipy(matrix, offset, size=(7, 9), mode="grid-constant", fill=0.0):
    """The same map, measured from the corner instead of the middle."""
    middle_in, middle_out = (np.array([7, 9]) - 1) / 2, (np.array(size) - 1) / 2
    images = []
    for image, a, b in zip(
        X, np.broadcast_to(matrix, (3, 2, 2)), np.broadcast_to(offset, (3, 2)), strict=True
    ):
        shift = middle_in - a @ middle_out + b
        channels = [
            scipy.ndimage.affine_transform(image[..., c], a, shift, size, order=1, mode=mode, cval=fill)
            for c in range(2)
        ]
        images.append(np.stack(channels, axis=-1))
    return np.stack(images)


@pytest.mark.notes("S1-74", "X-07")
@pytest.mark.usefixtures("x64")
def test_maps_are_those_of_scipy():
    """Any matrices and offsets in every mode, another size, and the four maps that have names."""
    angles = np.array([10.0, -33.0, 121.0])

    @jax.jit
    def ours(x):
        maps = {mode: affine_transform(x, MATRICES, OFFSETS, mode=mode, fill=0.7) for mode in MODES}
        maps["larger"] = affine_transform(x, MATRICES, OFFSETS, (5, 12))
        maps["rotate"] = rotate(x, jnp.asarray(angles))
        maps["shear"] = shear(x, -25.0)
        maps["translate"] = translate_images(x, 1.25, jnp.asarray(angles) / 20)
        maps["stretch"] = stretch(x, 0.8, 1.2)
        return maps

    found = ours(X)
    for mode, theirs in MODES.items():
        fill = 0.7 if mode == "constant" else 0.0
        np.testing.assert_allclose(
            found[mode], by_scipy(MATRICES, OFFSETS, mode=theirs, fill=fill), rtol=1e-9, atol=1e-12
        )
    np.testing.assert_allclose(found["larger"], by_scipy(MATRICES, OFFSETS, (5, 12)), rtol=1e-9, atol=1e-12)
    rotated = [
        scipy.ndimage.rotate(image, angle, order=1, reshape=False, mode="grid-constant")
        for image, angle in zip(X, angles, strict=True)
    ]
    np.testing.assert_allclose(found["rotate"], rotated, rtol=1e-9, atol=1e-12)
    slanted = np.array([[1, 0], [np.tan(np.deg2rad(25)), 1]])
    np.testing.assert_allclose(found["shear"], by_scipy(slanted, 0), rtol=1e-9, atol=1e-12)
    moved = [
        scipy.ndimage.shift(image, (1.25, angle / 20, 0), order=1, mode="grid-constant")
        for image, angle in zip(X, angles, strict=True)
    ]
    np.testing.assert_allclose(found["translate"], moved, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        found["stretch"], by_scipy(np.diag([1 / 0.8, 1 / 1.2]), 0), rtol=1e-9, atol=1e-12
    )


@pytest.mark.notes("S3-38")
def test_quarter_turns_are_those_of_numpy_and_four_lead_back():
    """Whole numbers stay exact, to the bit, for a turn of 0 and, rounded, for all others."""
    x = jnp.asarray(RNG.integers(0, 255, size=(1, 6, 6, 1)), jnp.uint8)
    turned = jax.jit(lambda x: [rotate(x, 90.0 * k) for k in range(5)])(x)
    for k, image in enumerate(turned):
        np.testing.assert_array_equal(image[0], np.rot90(x[0], k))


def coordinates(n, height, width):
    """Images whose two channels are a pixel's own row and column, measured from the middle."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack([rows - (height - 1) / 2, columns - (width - 1) / 2], axis=-1)
    return jnp.asarray(np.broadcast_to(picture, (n, height, width, 2)), jnp.float32)


@pytest.mark.full
@pytest.mark.notes("S3-38", "X-07")
def test_what_is_drawn_is_uniform_in_its_interval():
    """A picture of coordinates comes back as the inverse map itself."""
    n = 500
    x = coordinates(n, 5, 5)

    @jax.jit
    def drawn(key, *strengths):
        degrees, slant, down, right, height, width, zoom = strengths
        augment = random_affine(
            degrees,
            shear=slant,
            translation=(down, right),
            stretch=(height, width),
            zoom=zoom,
            mode="nearest",
        )
        return augment(key, x)[0]

    def inverses(*strengths):
        y = np.asarray(drawn(jax.random.key(0), *strengths), np.float64)
        a = np.stack([(y[:, 3, 2] - y[:, 1, 2]) / 2, (y[:, 2, 3] - y[:, 2, 1]) / 2], axis=-1)
        return a, y[:, 2, 2]

    def assert_uniform(values, low, high):
        assert low <= values.min() + 1e-5
        assert values.max() - 1e-5 <= high
        np.testing.assert_allclose(
            np.quantile((values - low) / (high - low), [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.09
        )

    a, b = inverses(30.0, 0, 0, 0, 0, 0, 0)
    assert_uniform(np.rad2deg(np.arctan2(a[:, 0, 1], a[:, 0, 0])), -30, 30)
    np.testing.assert_allclose(a @ a.transpose(0, 2, 1), np.broadcast_to(np.eye(2), a.shape), atol=1e-5)
    a, b = inverses(0, 20.0, 0, 0, 0, 0, 0)
    assert_uniform(np.rad2deg(np.arctan(-a[:, 1, 0])), -20, 20)
    a, b = inverses(0, 0, 1.0, 0.5, 0, 0, 0)
    assert_uniform(b[:, 0], -1, 1)
    assert_uniform(b[:, 1], -0.5, 0.5)
    assert abs(np.corrcoef(b.T)[0, 1]) < 0.2
    a, b = inverses(0, 0, 0, 0, 0.2, 0.4, 0)
    assert_uniform(1 / a[:, 0, 0], 0.8, 1.2)
    assert_uniform(1 / a[:, 1, 1], 0.6, 1.4)
    a, b = inverses(0, 0, 0, 0, 0, 0, 0.2)
    assert_uniform(1 / a[:, 0, 0], 0.8, 1.2)
    np.testing.assert_allclose(a[:, 0, 0], a[:, 1, 1], rtol=1e-5)
    # All at once: turned after stretching, moved last.
    a, b = inverses(30.0, 20.0, 0.3, 0.3, 0.2, 0.2, 0)
    back = np.linalg.solve(a, -b[..., None])[..., 0]
    assert np.abs(back).max() < 0.3 + 1e-4


@pytest.mark.notes("S1-74")
def test_a_resized_crop_is_a_part_of_the_image_of_the_right_area_and_shape():
    n, height, width = 500, 24, 32
    x = coordinates(n, height, width)
    made = jax.jit(
        lambda key: (
            random_resized_crop((0.2, 0.5), (0.5, 2.0), (6, 5))(key, x)[0],
            random_resized_crop(1.0, 3.0)(key, x[:2])[0],
        )
    )(jax.random.key(1))
    y, whole = np.asarray(made[0], np.float64), made[1]
    h = (y[:, 4, 2, 0] - y[:, 1, 2, 0]) / 3 * 6  # rows between neighbours, times how many there are
    w = (y[:, 2, 3, 1] - y[:, 2, 1, 1]) / 2 * 5
    middle = (y[:, 2, 2] + y[:, 3, 2]) / 2
    np.testing.assert_allclose(np.round(h), h, atol=1e-3)  # whole pixels
    np.testing.assert_allclose(np.round(w), w, atol=1e-3)
    area = h * w / (height * width)
    assert area.min() > 0.17
    assert area.max() < 0.53
    ratio = np.log2(h / w)
    assert np.abs(ratio).max() < 1.15
    assert abs(np.median(ratio)) < 0.15
    np.testing.assert_allclose(np.mean(area), 0.35, atol=0.03)
    top, left = middle[:, 0] + (height - h) / 2, middle[:, 1] + (width - w) / 2
    for place, free in ((top, height - h), (left, width - w)):
        assert place.min() > -1e-3
        assert (place - free).max() < 1e-3
        assert abs(np.mean(place / np.maximum(free, 1)) - 0.5) < 0.06
    # Where no part fits, the whole image.
    np.testing.assert_array_equal(whole, x[:2])

"""Colors against the formulas in NumPy, and hue against Python's colorsys."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    color_directions,
    color_jitter,
    pca_jitter,
)

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(3, 4, 5, 3))
FACTORS = np.array([0.5, 1.0, 1.7])


@pytest.mark.notes("S1-74")
@pytest.mark.usefixtures("x64")
def test_colors_are_adjusted_by_the_formulas():
    turns = np.array([0.1, -0.35, 0.5])
    ours = jax.jit(
        lambda x, f: (
            adjust_brightness(x, f), adjust_contrast(x, f), adjust_saturation(x, f), adjust_hue(x, turns),
            adjust_hue(adjust_hue(x, turns), -turns),
        )
    )(X, FACTORS)  # fmt: skip
    f = FACTORS[:, None, None, None]
    grey = (X @ [0.299, 0.587, 0.114])[..., None]
    np.testing.assert_allclose(ours[0], f * X, rtol=1e-12)
    np.testing.assert_allclose(ours[1], f * X + (1 - f) * grey.mean(axis=(1, 2), keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(ours[2], f * X + (1 - f) * grey, rtol=1e-12)
    # The hue, read in the plane of the two color axes, is turned; luma and saturation stay.
    to_yiq = np.vectorize(colorsys.rgb_to_yiq, signature="(),(),()->(),(),()")
    before, after = (np.stack(to_yiq(*np.moveaxis(np.asarray(x), -1, 0)), -1) for x in (X, ours[3]))
    np.testing.assert_allclose(np.asarray(ours[3]) @ [0.299, 0.587, 0.114], grey[..., 0], rtol=1e-9)
    color = [x[..., 1] + 1j * x[..., 2] for x in (before, after)]
    expected = color[0] * np.exp(2j * np.pi * turns)[:, None, None]
    np.testing.assert_allclose(color[1], expected, atol=1e-2)  # colorsys rounds its numbers
    np.testing.assert_allclose(ours[4], X, rtol=1e-9, atol=1e-12)


@pytest.mark.notes("S1-74")
def test_a_jitter_draws_a_factor_for_every_image():
    """One grey and one that is darker: the mean shows the brightness, the difference the contrast."""
    n = 2000
    x = jnp.broadcast_to(jnp.array([0.4, 0.6], jnp.float32).reshape(1, 1, 2, 1), (n, 1, 2, 1))
    y = np.asarray(jax.jit(color_jitter(0.2, 0.5))(jax.random.key(0), x)[0], np.float64)[:, 0, :, 0]
    brightness = y.mean(axis=1) / 0.5
    contrast = (y[:, 1] - y[:, 0]) / 0.2 / brightness
    for factor, strength in ((brightness, 0.2), (contrast, 0.5)):
        assert np.abs(factor - 1).max() <= strength + 1e-5
        np.testing.assert_allclose(
            np.quantile((factor - 1) / strength, [0.1, 0.5, 0.9]), [-0.8, 0, 0.8], atol=0.1
        )
    assert abs(np.corrcoef(brightness, contrast)[0, 1]) < 0.1
    grey, _ = jax.jit(color_jitter(saturation=1.0, hue=0.5))(jax.random.key(0), x)
    np.testing.assert_array_equal(grey, x)
    bytes_ = np.full((50, 1, 1, 1), 200, np.uint8)
    bytes_, _ = jax.jit(color_jitter(brightness=1.0))(jax.random.key(0), bytes_)
    assert bytes_.max() == 255  # clipped, not wrapped around
    with pytest.raises(ValueError, match=r"color_jitter\(contrast\) is 1.5, .*\[0, 1\]"):
        color_jitter(contrast=1.5)


@pytest.mark.notes("S1-74")
@pytest.mark.usefixtures("x64")
def test_pca_jitter_moves_colors_along_principal_directions():
    images = RNG.normal(size=(40, 3, 3, 3)) @ np.array([[3, 1, 0], [0, 1, 0.5], [0, 0, 0.3]])
    pixels = images.reshape(-1, 3)
    values, vectors = np.linalg.eigh(np.cov(pixels.T, bias=True))
    directions = color_directions(images)
    np.testing.assert_allclose(np.abs(directions), np.abs((vectors * values).T), rtol=1e-9)
    n = 4000
    x = jnp.asarray(RNG.normal(size=(n, 2, 2, 3)))
    y, _ = jax.jit(pca_jitter(directions, 0.1))(jax.random.key(0), x)
    shift = np.asarray(y - x)
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-12)
    alpha = shift[:, 0, 0] @ vectors / values  # independent, of deviation 0.1 each
    np.testing.assert_allclose(np.cov(alpha.T), 0.01 * np.eye(3), atol=1e-3)
    with pytest.raises(ValueError, match=r"directions\) has shape \(3, 3\), but the images have 1 channels"):
        pca_jitter(directions)(jax.random.key(0), x[..., :1])

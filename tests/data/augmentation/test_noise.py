"""Noise: its moments, its places, and what it does to a linear model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import random_noise, salt_and_pepper


@pytest.mark.notes("S3-40", "X-07")
def test_noise_has_its_variance_and_some_pixels_are_salt_or_pepper():
    x = jnp.full((50, 10, 10, 3), 0.25)
    augment = jax.jit(
        lambda key: (random_noise(0.1**0.5)(key, x)[0], salt_and_pepper(0.2, -1.0, 2.0)(key, x)[0])
    )
    noisy, struck = map(np.asarray, augment(jax.random.key(0)))
    np.testing.assert_allclose(noisy.mean(), 0.25, atol=0.02)
    np.testing.assert_allclose(noisy.var(), 0.1, rtol=0.05)
    pixels = struck.reshape(-1, 3)
    assert (pixels == pixels[:, :1]).all(), "all channels of a pixel"
    shares = [np.mean(pixels[:, 0] == np.float32(value)) for value in (-1.0, 2.0, 0.25)]
    np.testing.assert_allclose(shares, [0.1, 0.1, 0.8], atol=0.03)
    rows = np.asarray(salt_and_pepper(0.5, 0.0, 1.0)(jax.random.key(1), jnp.full((100, 4), 0.5))[0])
    assert (rows != rows[:, :1]).any(axis=1).mean() > 0.5, "without channels, each number alone"


@pytest.mark.notes("S2-83")
@pytest.mark.usefixtures("x64")
def test_noise_on_the_inputs_of_a_linear_model_is_a_ridge_penalty():
    """In expectation: least squares on many noisy copies is ridge with λ = nσ²."""
    rng = np.random.default_rng(0)
    n, sigma = 20, 0.5
    x = rng.normal(size=(n, 3))
    y = x @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.normal(size=n)
    copies, _ = random_noise(sigma)(jax.random.key(0), jnp.asarray(np.tile(x, (20_000, 1))))
    augmented = np.linalg.lstsq(copies, np.tile(y, 20_000), rcond=None)[0]
    ridge = np.linalg.solve(x.T @ x + n * sigma**2 * np.eye(3), x.T @ y)
    plain = np.linalg.lstsq(x, y, rcond=None)[0]
    np.testing.assert_allclose(augmented, ridge, atol=1e-2)
    assert np.abs(plain - ridge).max() > 0.1

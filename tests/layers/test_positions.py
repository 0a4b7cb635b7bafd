"""Positions: the formulas of the papers in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant
from jaxopt_notes.layers import learned_positions, rotary, sinusoidal_positions, sinusoids
from tests.compiled import apply, compiled, init


@pytest.mark.parametrize("features", [6, 7])
def test_sinusoids(features, x64):
    t = np.arange(5)[:, None]
    i = np.arange(features)
    angles = t * 100.0 ** (-2 * (i // 2) / features)
    expected = np.where(i % 2 == 0, np.sin(angles), np.cos(angles))
    np.testing.assert_allclose(compiled(sinusoids)(5, features, 100.0), expected, rtol=1e-12, atol=1e-15)
    x = np.random.default_rng(0).normal(size=(2, 5, features))
    y, _ = apply(sinusoidal_positions(100.0), {}, (), x)
    np.testing.assert_allclose(y, x + expected, rtol=1e-12, atol=1e-12)


def test_rotary(x64):
    """As complex numbers: each pair times e^{i·t·θ}; products depend on the distance alone."""
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 4))
    places = np.array([1.0, 5.0, 6.0])
    pairs = x[..., :2] + 1j * x[..., 2:]
    turned = pairs * np.exp(1j * places[None, :, None, None] * 50.0 ** (-np.arange(2) / 2))
    found = np.asarray(compiled(rotary)(x, places, 50.0))
    np.testing.assert_allclose(found[..., :2], turned.real, rtol=1e-12)
    np.testing.assert_allclose(found[..., 2:], turned.imag, rtol=1e-12)
    default = compiled(rotary)(x, base=50.0)
    np.testing.assert_allclose(default, compiled(rotary)(x, np.arange(3.0), 50.0), rtol=1e-12)


def test_learned_positions(key):
    layer = learned_positions(5, embedding_init=constant(0.5))
    x = jnp.ones((2, 3, 4))
    params, state = init(layer, key, x)
    assert (params["embedding"].shape, state) == ((5, 4), ())
    rows = jnp.arange(20.0).reshape(5, 4)
    y, _ = apply(layer, {"embedding": rows}, (), x)
    np.testing.assert_array_equal(y, 1 + np.broadcast_to(rows[:3], (2, 3, 4)))
    with pytest.raises(ValueError, match="has 6 steps, expected at most its 5"):
        init(layer, key, jax.ShapeDtypeStruct((1, 6, 4), jnp.float32))
    with pytest.raises(ValueError, match="has 3 features a head"):
        rotary(jnp.ones((1, 2, 1, 3)))

"""Gains against their closed forms, and what they are for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.activations import ACTIVATIONS, elu, gain, leaky_relu
from jaxopt_notes.initializers import variance_scaling


@pytest.mark.notes("S2-12", "S2-23", "S3-45")
def test_closed_forms(x64):
    """ReLU 2, Leaky ReLU 2/(1 + α²), identity 1, SELU 1; tanh and sigmoid against SciPy's quadrature."""
    integrate = pytest.importorskip("scipy.integrate")
    np.testing.assert_allclose(gain("relu") ** 2, 2, rtol=1e-10)
    np.testing.assert_allclose(
        gain(functools.partial(leaky_relu, negative_slope=0.3)) ** 2, 2 / 1.09, rtol=1e-10
    )
    np.testing.assert_allclose(gain("identity"), 1, rtol=1e-10)
    np.testing.assert_allclose(gain("selu"), 1, rtol=1e-6)  # its constants are printed so
    for name, function in (("tanh", np.tanh), ("sigmoid", lambda z: 1 / (1 + np.exp(-z)))):
        density = lambda z, f=function: f(z) ** 2 * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)  # noqa: E731
        np.testing.assert_allclose(gain(name) ** -2, integrate.quad(density, -12, 12)[0], rtol=1e-9)


def test_slopes_are_traced_and_have_gradients(x64):
    """d/dα of √(2/(1 + α²)) is −α·√2·(1 + α²)^(−3/2)."""
    slope = jax.grad(lambda alpha: gain(lambda z: leaky_relu(z, alpha)))(0.5)
    np.testing.assert_allclose(slope, -0.5 * np.sqrt(2) * 1.25**-1.5, rtol=1e-8)


@pytest.mark.full
@pytest.mark.notes("S2-17")
def test_every_activation_keeps_its_mean_square_over_depth():
    """Ten layers of 256 units: E[z²] stays within what chance gives, for each that acts number by number."""
    names = [name for name in ACTIVATIONS if not name.endswith("softmax")]
    keys = jax.random.split(jax.random.key(0), 11)
    start = jax.random.normal(keys[10], (256, 256))
    for function in [*(ACTIVATIONS[name] for name in names), functools.partial(elu, alpha=0.5)]:

        def layer(z, key, function=function):
            kernel = variance_scaling(gain(function) ** 2)(key, (256, 256))
            return function(z) @ kernel, None

        z, _ = jax.jit(lambda z, layer=layer: jax.lax.scan(layer, z, keys[:10]))(start)
        assert 0.5 < float(jnp.mean(z * z)) < 2, function


def test_what_has_no_gain_is_refused():
    with pytest.raises(ValueError, match=r"gain\(activation\) is 'softmax', expected one of 'identity'"):
        gain("softmax")

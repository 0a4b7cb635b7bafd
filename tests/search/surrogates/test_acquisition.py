"""Acquisition functions against Monte Carlo, quadrature in many digits, and their limits."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search.surrogates.acquisition import (
    ACQUISITIONS,
    expected_improvement,
    log_expected_improvement,
    probability_of_improvement,
    upper_confidence_bound,
)


@pytest.mark.notes("S1-50")
def test_improvements_are_what_they_say(x64):
    """E max(b − ξ − f, 0) and P(f < b − ξ) by a million draws of f."""
    draws = np.random.default_rng(0).normal(size=1_000_000)
    for mean, std, best, xi in [(0.0, 1.0, 0.0, 0.0), (0.7, 0.5, 0.3, 0.1), (-1.0, 2.0, 0.2, 0.5)]:
        f = mean + std * draws
        arguments = jnp.array(mean), jnp.array(std), jnp.array(best), xi
        want = np.maximum(best - xi - f, 0).mean()
        np.testing.assert_allclose(expected_improvement(*arguments), want, atol=3e-3)
        np.testing.assert_allclose(probability_of_improvement(*arguments), (f < best - xi).mean(), atol=3e-3)


@pytest.mark.notes("S1-50")
def test_certainty():
    """Without uncertainty what is worse promises nothing, and what is better its difference."""
    mean, std, best = jnp.array([2.0, 0.5]), jnp.zeros(2), jnp.ones(2)
    np.testing.assert_array_equal(expected_improvement(mean, std, best), [0.0, 0.5])
    np.testing.assert_allclose(log_expected_improvement(mean, std, best), [-np.inf, np.log(0.5)], rtol=1e-6)
    np.testing.assert_array_equal(probability_of_improvement(mean, std, best), [0.0, 1.0])
    np.testing.assert_array_equal(upper_confidence_bound(mean, std, best), -mean)


@pytest.mark.notes("S1-50")
def test_the_mean_is_not_what_is_maximized():
    """A place known to be good promises less than an unknown one that is expected to be a little worse."""
    mean, std, best = jnp.array([0.0, 0.1]), jnp.array([1e-3, 1.0]), jnp.zeros(2)
    for name, acquisition in ACQUISITIONS.items():
        known, unknown = acquisition(mean, std, best)
        assert unknown > known, name


def test_the_logarithm_is_that_of_expected_improvement(x64):
    z = jnp.linspace(-30, 10, 401)
    value = expected_improvement(-z, jnp.ones_like(z), jnp.zeros_like(z))
    assert (value >= -1e-18).all()
    far = z > -5
    np.testing.assert_allclose(
        log_expected_improvement(-z, jnp.ones_like(z), jnp.zeros_like(z))[far], jnp.log(value[far]), rtol=1e-9
    )


@pytest.mark.parametrize(("kind", "rtol"), [(jnp.float32, 1e-5), (jnp.float64, 1e-13)])
def test_the_logarithm_holds_far_below_the_least_float(kind, rtol, x64):
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 60
    z = np.array([-1e4, -200.0, -76.0, -60.0, -20.0, -9.0, -5.0, -1.5, -1.0, -0.5, 0.0, 3.0], kind)
    h = [mpmath.npdf(v) + v * mpmath.ncdf(v) for v in map(float, z)]
    one, zero = jnp.ones_like(z), jnp.zeros_like(z)
    log_h = jax.value_and_grad(lambda z, one, zero: log_expected_improvement(-z, one, zero))
    value, slope = jax.jit(jax.vmap(log_h))(jnp.asarray(z), one, zero)
    assert value.dtype == kind
    atol = 2e-6 if kind == jnp.float32 else 0
    np.testing.assert_allclose(value, [float(mpmath.log(v)) for v in h], rtol=rtol, atol=atol)
    want = [float(mpmath.ncdf(float(v)) / k) for v, k in zip(z, h, strict=True)]
    np.testing.assert_allclose(slope, want, rtol=2e-3 if kind == jnp.float32 else 1e-8)


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_slopes_are_finite_also_where_nothing_is_uncertain(name):
    def total(mean, std):
        return jnp.sum(ACQUISITIONS[name](mean, std, jnp.zeros(3)))

    for slope in jax.jit(jax.grad(total, argnums=(0, 1)))(
        jnp.array([-1.0, 0.0, 1.0]), jnp.array([0.0, 0.0, 1.0])
    ):
        assert jnp.isfinite(slope).all()


@pytest.mark.notes("S1-50")
def test_every_number_of_an_acquisition_is_used(x64):
    """ξ lowers what has to be beaten, with uncertainty and without; β weighs the uncertainty."""
    mean, std, best = jnp.array([0.2, -3.0, 0.2]), jnp.array([0.5, 2.0, 0.0]), jnp.full(3, 0.7)
    for xi in (0.0, 0.1, 0.4):
        gain = 0.7 - xi - np.asarray(mean)
        z = gain / np.array([0.5, 2.0, 1.0])
        phi = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        below = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z])
        improvement = np.where(std > 0, std * (z * below + phi), np.maximum(gain, 0))
        np.testing.assert_allclose(expected_improvement(mean, std, best, xi), improvement, rtol=1e-12)
        np.testing.assert_allclose(
            log_expected_improvement(mean, std, best, xi), np.log(improvement), rtol=1e-12
        )
        probability = np.where(std > 0, below, 1.0)
        np.testing.assert_allclose(probability_of_improvement(mean, std, best, xi), probability, rtol=1e-12)
    default = probability_of_improvement(mean, std, best, 0.01)
    np.testing.assert_array_equal(probability_of_improvement(mean, std, best), default)
    for beta in (0.0, 1.0, 3.5):
        np.testing.assert_allclose(
            upper_confidence_bound(mean, std, best, beta), beta * std - mean, rtol=1e-14
        )

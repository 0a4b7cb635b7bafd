"""Acquisition functions against Monte Carlo, quadrature in many digits, and their limits."""

import functools
import math

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
def test_improvements_are_what_they_say():
    """E max(b − ξ − f, 0) and P(f < b − ξ) by a million draws of f."""
    draws = np.random.default_rng(0).normal(size=1_000_000)
    for mean, std, best, xi in [(0.0, 1.0, 0.0, 0.0), (0.7, 0.5, 0.3, 0.1), (-1.0, 2.0, 0.2, 0.5)]:
        f = mean + std * draws
        arguments = mean, std, best, xi
        want = np.maximum(best - xi - f, 0).mean()
        np.testing.assert_allclose(expected_improvement(*arguments).value, want, atol=3e-3)
        np.testing.assert_allclose(
            probability_of_improvement(*arguments).value, (f < best - xi).mean(), atol=3e-3
        )


@pytest.mark.notes("S1-50")
def test_certainty():
    """Without uncertainty what is worse promises nothing, and what is better its difference."""
    mean, std, best = np.array([2.0, 0.5]), np.zeros(2), np.ones(2)
    np.testing.assert_array_equal(expected_improvement(mean, std, best).value, [0.0, 0.5])
    np.testing.assert_allclose(
        log_expected_improvement(mean, std, best).value, [-np.inf, np.log(0.5)], rtol=1e-6
    )
    np.testing.assert_array_equal(probability_of_improvement(mean, std, best).value, [0.0, 1.0])
    np.testing.assert_array_equal(upper_confidence_bound(mean, std, best).value, -mean)


@pytest.mark.notes("S1-50")
def test_the_mean_is_not_what_is_maximized():
    """A place known to be good promises less than an unknown one that is expected to be a little worse."""
    mean, std, best = np.array([0.0, 0.1]), np.array([1e-3, 1.0]), np.zeros(2)
    for name, acquisition in ACQUISITIONS.items():
        known, unknown = acquisition(mean, std, best).value
        assert unknown > known, name


def test_the_logarithm_is_that_of_expected_improvement():
    z = np.linspace(-30, 10, 401)
    value = expected_improvement(-z, np.ones_like(z), 0.0).value
    assert (value >= -1e-18).all()
    far = z > -5
    np.testing.assert_allclose(
        log_expected_improvement(-z, np.ones_like(z), 0.0).value[far], np.log(value[far]), rtol=1e-9
    )


def test_the_logarithm_holds_far_below_the_least_float():
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 60
    z = np.array([-1e4, -200.0, -76.0, -60.0, -20.0, -9.0, -5.0, -1.5, -1.0, -0.5, 0.0, 3.0])
    h = [mpmath.npdf(v) + v * mpmath.ncdf(v) for v in map(float, z)]
    promise = log_expected_improvement(-z, np.ones_like(z), 0.0)
    np.testing.assert_allclose(promise.value, [float(mpmath.log(v)) for v in h], rtol=1e-13)
    want = [float(mpmath.ncdf(float(v)) / k) for v, k in zip(z, h, strict=True)]
    np.testing.assert_allclose(-promise.by_mean, want, rtol=1e-8)
    want = [float(mpmath.npdf(float(v)) / k) for v, k in zip(z, h, strict=True)]
    np.testing.assert_allclose(promise.by_std, want, rtol=1e-8)


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_slopes_are_differences_and_finite_where_nothing_is_uncertain(name):
    mean, std, step = np.array([-1.0, 0.2, 1.0, 4.0]), np.array([0.5, 0.3, 1.0, 0.4]), 1e-6
    for noise, power in ((0.0, 1.0), (0.2, 1.0), (0.2, 1.7)):
        of = functools.partial(ACQUISITIONS[name], best=0.1, noise=noise, power=power)
        promise = of(mean, std)
        by_mean = of(mean + step, std).value - of(mean - step, std).value
        by_std = of(mean, std + step).value - of(mean, std - step).value
        np.testing.assert_allclose(promise.by_mean, by_mean / (2 * step), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(promise.by_std, by_std / (2 * step), rtol=1e-6, atol=1e-9)
        sure = ACQUISITIONS[name](np.array([-1.0, 0.0, 1.0]), np.zeros(3), 0.0, noise=noise, power=power)
        assert np.isfinite([sure.by_mean, sure.by_std]).all()


def test_noise_hides_a_part_of_an_improvement():
    """σ² = 3 and v = 1: half of what the point promises would be learnt; of a certain point nothing."""
    arguments = np.array([0.4]), np.sqrt([3.0]), 0.1
    whole, half = (expected_improvement(*arguments, noise=v).value for v in (0.0, 1.0))
    np.testing.assert_allclose(half, whole / 2, rtol=1e-12)
    half = log_expected_improvement(*arguments, noise=1.0).value
    np.testing.assert_allclose(half, np.log(whole / 2), rtol=1e-12)
    quarter = expected_improvement(*arguments, noise=1.0, power=2.0).value
    np.testing.assert_allclose(quarter, whole / 4, rtol=1e-12)
    quarter = log_expected_improvement(*arguments, noise=1.0, power=2.0).value
    np.testing.assert_allclose(quarter, np.log(whole / 4), rtol=1e-12)
    sure = np.zeros(1), np.zeros(1), 1.0
    assert expected_improvement(*sure, noise=0.1).value == 0
    assert log_expected_improvement(*sure, noise=0.1).value == -np.inf


@pytest.mark.notes("S1-50")
def test_every_number_of_an_acquisition_is_used():
    """ξ lowers what has to be beaten, with uncertainty and without; β weighs the uncertainty."""
    mean, std, best = np.array([0.2, -3.0, 0.2]), np.array([0.5, 2.0, 0.0]), np.full(3, 0.7)
    for xi in (0.0, 0.1, 0.4):
        gain = 0.7 - xi - np.asarray(mean)
        z = gain / np.array([0.5, 2.0, 1.0])
        phi = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        below = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z])
        improvement = np.where(std > 0, std * (z * below + phi), np.maximum(gain, 0))
        np.testing.assert_allclose(expected_improvement(mean, std, best, xi).value, improvement, rtol=1e-12)
        np.testing.assert_allclose(
            log_expected_improvement(mean, std, best, xi).value, np.log(improvement), rtol=1e-12
        )
        probability = np.where(std > 0, below, 1.0)
        np.testing.assert_allclose(
            probability_of_improvement(mean, std, best, xi).value, probability, rtol=1e-12
        )
    default = probability_of_improvement(mean, std, best, 0.01).value
    np.testing.assert_array_equal(probability_of_improvement(mean, std, best).value, default)
    for beta in (0.0, 1.0, 3.5):
        np.testing.assert_allclose(
            upper_confidence_bound(mean, std, best, beta).value, beta * std - mean, rtol=1e-14
        )

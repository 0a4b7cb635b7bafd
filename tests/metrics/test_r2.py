"""R²: scikit-learn, constant targets, units, and the notes' .96."""

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from jaxopt_notes.metrics import r2
from tests.compiled import compiled, grad, value_and_grad

r2 = compiled(r2)

RNG = np.random.default_rng(0)


@pytest.mark.usefixtures("x64")
def test_r2_agrees_with_scikit_learn():
    y = RNG.normal(size=(20, 3)) + 5
    o = y + 0.3 * RNG.normal(size=(20, 3))
    w = RNG.uniform(size=20)
    np.testing.assert_allclose(r2(o, y), sklearn.metrics.r2_score(y, o), rtol=1e-12)
    np.testing.assert_allclose(r2(o[:, 0], y[:, 0]), sklearn.metrics.r2_score(y[:, 0], o[:, 0]), rtol=1e-12)
    np.testing.assert_allclose(r2(o, y, w), sklearn.metrics.r2_score(y, o, sample_weight=w), rtol=1e-12)


def test_r2_of_constant_targets_is_no_nan():
    y = jnp.full(7, 0.1)
    assert r2(y, y) == 1.0
    assert r2(y + 0.5, y) == 0.0
    slope = grad(lambda o: r2(o, y))(y + 0.5)
    assert bool(jnp.all(jnp.isfinite(slope)))


def test_r2_does_not_count_what_has_no_weight():
    o, y = jnp.array([1.0, 2.0, 4.0, 9.0]), jnp.array([1.0, 2.0, 3.0, 0.0])
    assert r2(o, y, jnp.array([1.0, 1.0, 1.0, 0.0])) == pytest.approx(0.5)


@pytest.mark.notes("S2-70")
@pytest.mark.usefixtures("x64")
def test_a_memorised_fifth_harmonic_scores_96_percent():
    t = np.arange(100) / 100
    clean = np.sin(2 * np.pi * t)
    memorised = clean + np.sin(5 * 2 * np.pi * t) / 5
    np.testing.assert_allclose(r2(memorised, clean), 0.96, rtol=1e-13)


@pytest.mark.parametrize("size", [1e-34, 1e-20, 1e20, 1e34])
def test_r2_does_not_depend_on_the_unit(size):
    y = RNG.normal(size=(6, 2)) + 3
    o = y + RNG.normal(size=(6, 2))
    w = RNG.uniform(size=6)
    small = [jnp.asarray(x * size, jnp.float32) for x in (o, y)]
    expected = sklearn.metrics.r2_score(y, o, sample_weight=w)
    np.testing.assert_allclose(r2(*small, w), expected, rtol=1e-5)
    np.testing.assert_allclose(r2(*small, jnp.asarray(w * 1e30, jnp.float32)), expected, rtol=1e-5)
    slopes = grad(r2)(*small)
    spread = ((y - y.mean(0)) ** 2).sum(0)
    np.testing.assert_allclose(np.float64(slopes) * size, (y - o) / spread, rtol=1e-4)
    wrong = jnp.full(4, size, jnp.float32), jnp.asarray(np.arange(4) * size, jnp.float32)
    np.testing.assert_allclose(r2(*wrong), 1 - 6 / 5, rtol=1e-5)


def test_r2_of_what_has_no_weight_whatever_it_is():
    y = jnp.array([jnp.nan, 1.0, 2.0, 3.0, 1e38])
    o = jnp.array([0.0, 1.0, 2.0, 4.0, -jnp.inf])
    weights = jnp.array([0.0, 1.0, 1.0, 1.0, 0.0])
    value, slopes = value_and_grad(r2)(o, y, weights)
    np.testing.assert_allclose(value, 0.5, rtol=1e-6)
    np.testing.assert_allclose(slopes, [0, 0, 0, -1, 0], atol=1e-6)


def test_r2_of_a_huge_prediction_is_the_number_that_it_is():
    np.testing.assert_allclose(r2(jnp.array([1e15, 0.0]), jnp.array([0.0, 2.0])), -5e29, rtol=1e-5)
    assert r2(jnp.array([1e30, 0.0]), jnp.array([0.0, 1e-9])) == -jnp.inf

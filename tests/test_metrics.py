"""Metrics: values by hand, ties and broken rows, scikit-learn, and the notes' R² of .96."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from jaxopt_notes.losses import weighted_mean
from jaxopt_notes.metrics import METRICS, accuracy, r2, top_k_accuracy

RNG = np.random.default_rng(0)


def test_accuracy_by_hand():
    scores = jnp.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]])
    assert accuracy(scores, jnp.array([1, 0, 1])).tolist() == [1.0, 1.0, 0.0]
    assert accuracy(scores, jnp.eye(2)[jnp.array([1, 0, 1])]).tolist() == [1.0, 1.0, 0.0]
    assert accuracy(scores, jnp.eye(2, dtype=jnp.int32)[jnp.array([1, 0, 1])]).tolist() == [1.0, 1.0, 0.0]


def test_accuracy_agrees_with_scikit_learn():
    scores, labels = RNG.normal(size=(50, 4)), RNG.integers(0, 4, 50)
    expected = sklearn.metrics.accuracy_score(labels, scores.argmax(axis=1))
    assert weighted_mean(accuracy(scores, labels)) == pytest.approx(expected)


def test_accuracy_of_every_step():
    scores, labels = RNG.normal(size=(2, 3, 4)), RNG.integers(0, 4, (2, 3))
    np.testing.assert_array_equal(accuracy(scores, labels), scores.argmax(-1) == labels)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_agrees_with_scikit_learn(k):
    scores, labels = RNG.normal(size=(60, 6)), RNG.integers(0, 6, 60)
    expected = sklearn.metrics.top_k_accuracy_score(labels, scores, k=k, labels=range(6))
    assert weighted_mean(top_k_accuracy(scores, labels, k)) == pytest.approx(expected)


def test_the_number_k_can_be_traced():
    scores, labels = jnp.asarray(RNG.normal(size=(9, 5))), jnp.asarray(RNG.integers(0, 5, 9))
    batch = jax.vmap(lambda k: top_k_accuracy(scores, labels, k))(jnp.arange(1, 6))
    np.testing.assert_array_equal(batch, [top_k_accuracy(scores, labels, k) for k in range(1, 6)])
    assert batch[4].all()


def test_among_equal_scores_the_first_class_wins():
    """A network whose outputs are all equal knows nothing, and must not score 1."""
    scores, labels = jnp.zeros((4, 4)), jnp.arange(4)
    assert accuracy(scores, labels).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert top_k_accuracy(scores, labels, 2).tolist() == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("k", [1, 3])
def test_what_is_broken_is_wrong(k):
    scores = jnp.array([[jnp.nan, 1.0, 2.0], [1.0, 2.0, jnp.nan], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    assert not top_k_accuracy(scores, jnp.array([0, 1, -1, 3]), k).any()
    assert not top_k_accuracy(scores[2:], jnp.zeros((2, 3)), k).any()


def test_a_class_ruled_out_by_minus_infinity():
    scores = jnp.array([[-jnp.inf, 0.0], [jnp.inf, 0.0]])
    assert accuracy(scores, jnp.array([0, 0])).tolist() == [0.0, 1.0]


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
    slope = jax.grad(lambda o: r2(o, y))(y + 0.5)
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


@pytest.mark.parametrize("name", METRICS)
def test_shapes_are_named(name):
    with pytest.raises(ValueError, match=rf"{name}\(targets\) has shape \(8, 1\), expected .*8"):
        METRICS[name](jnp.zeros((8, 3)), jnp.zeros((8, 1), jnp.int32))


def test_labels_must_be_integers():
    with pytest.raises(TypeError, match=r"dtype float32 .* targets\.astype\(int\)"):
        accuracy(jnp.zeros((8, 3)), jnp.zeros(8))


@pytest.mark.parametrize("name", METRICS)
def test_with_and_without_jit(name):
    outputs = jnp.asarray(RNG.normal(size=(9, 7)), jnp.float32)
    targets = outputs + 1 if name == "r2" else jnp.asarray(RNG.integers(0, 7, 9), jnp.int32)
    np.testing.assert_allclose(
        jax.jit(METRICS[name])(outputs, targets), METRICS[name](outputs, targets), rtol=1e-6
    )


@pytest.mark.parametrize("size", [1e-34, 1e-20, 1e20, 1e34])
def test_r2_does_not_depend_on_the_unit(size):
    y = RNG.normal(size=(6, 2)) + 3
    o = y + RNG.normal(size=(6, 2))
    w = RNG.uniform(size=6)
    small = [jnp.asarray(x * size, jnp.float32) for x in (o, y)]
    expected = sklearn.metrics.r2_score(y, o, sample_weight=w)
    np.testing.assert_allclose(r2(*small, w), expected, rtol=1e-5)
    np.testing.assert_allclose(r2(*small, jnp.asarray(w * 1e30, jnp.float32)), expected, rtol=1e-5)
    slopes = jax.grad(r2)(*small)
    spread = ((y - y.mean(0)) ** 2).sum(0)
    np.testing.assert_allclose(np.float64(slopes) * size, (y - o) / spread, rtol=1e-4)
    wrong = jnp.full(4, size, jnp.float32), jnp.asarray(np.arange(4) * size, jnp.float32)
    np.testing.assert_allclose(r2(*wrong), 1 - 6 / 5, rtol=1e-5)


def test_r2_of_what_has_no_weight_whatever_it_is():
    y = jnp.array([jnp.nan, 1.0, 2.0, 3.0, 1e38])
    o = jnp.array([0.0, 1.0, 2.0, 4.0, -jnp.inf])
    weights = jnp.array([0.0, 1.0, 1.0, 1.0, 0.0])
    value, slopes = jax.value_and_grad(r2)(o, y, weights)
    np.testing.assert_allclose(value, 0.5, rtol=1e-6)
    np.testing.assert_allclose(slopes, [0, 0, 0, -1, 0], atol=1e-6)


def test_r2_of_a_huge_prediction_is_the_number_that_it_is():
    np.testing.assert_allclose(r2(jnp.array([1e15, 0.0]), jnp.array([0.0, 2.0])), -5e29, rtol=1e-5)
    assert r2(jnp.array([1e30, 0.0]), jnp.array([0.0, 1e-9])) == -jnp.inf

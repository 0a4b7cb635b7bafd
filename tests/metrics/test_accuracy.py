"""Accuracy: values by hand, ties and broken rows, scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from jaxopt_notes.losses import weighted_mean
from jaxopt_notes.metrics import accuracy, top_k_accuracy
from tests.compiled import compiled

weighted_mean = compiled(weighted_mean)
accuracy = compiled(accuracy)
top_k_accuracy = compiled(top_k_accuracy)

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


def test_labels_must_be_integers():
    with pytest.raises(TypeError, match=r"dtype float32 .* targets\.astype\(int\)"):
        accuracy(jnp.zeros((8, 3)), jnp.zeros(8))

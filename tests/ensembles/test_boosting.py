"""AdaBoost beside scikit-learn, which is given our members; gradient boosting beside its recursion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.ensemble
from sklearn.base import BaseEstimator, ClassifierMixin

from jaxopt_notes.data import shuffled_indices
from jaxopt_notes.ensembles import adaboost, gradient_boosting, samme_round
from jaxopt_notes.layers import dense, mlp
from jaxopt_notes.losses import mean_squared_error, sigmoid_binary_cross_entropy, softmax_cross_entropy
from jaxopt_notes.optimizers import adam, sgd
from jaxopt_notes.training import Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2)).astype(np.float32)
LABELS = np.digitize((X**2).sum(axis=1), [0.8, 2.5])  # three rings


class Replay(ClassifierMixin, BaseEstimator):
    """A classifier that says what the t-th of our members says; scikit-learn numbers them by random_state."""

    said, count = None, 0

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, x, y, sample_weight=None):
        self.classes_, self.labels_ = np.unique(y), Replay.said[Replay.count]
        Replay.count += 1
        return self

    def predict(self, x):
        return self.labels_


@pytest.mark.notes("S2-87")
def test_weights_and_errors_are_those_of_scikit_learn():
    """Given the same members, it finds the same votes, errors and decisions, for three classes."""
    trainer = Trainer(mlp([4, 3]), adam(0.1), softmax_cross_entropy, batch_size=60)
    boosted = adaboost(trainer, jax.random.key(0), (X, LABELS), 15, rounds=5, learning_rate=0.7)
    Replay.said, Replay.count = np.asarray(boosted.members.predict(X).argmax(-1)), 0
    assert (boosted.errors < 2 / 3).all()
    peer = sklearn.ensemble.AdaBoostClassifier(Replay(), n_estimators=5, learning_rate=0.7).fit(X, LABELS)
    np.testing.assert_allclose(boosted.errors, peer.estimator_errors_, rtol=1e-4)
    np.testing.assert_allclose(boosted.weights, peer.estimator_weights_, rtol=1e-4)
    np.testing.assert_array_equal(boosted.predict(X).argmax(axis=1), peer.predict(X))
    rows = adaboost(trainer, jax.random.key(0), (X, np.eye(3)[LABELS]), 15, rounds=2, learning_rate=0.7)
    np.testing.assert_allclose(rows.errors, boosted.errors[:2], rtol=1e-5)  # one-hot rows are labels
    right = (np.asarray(boosted.predict(X).argmax(1)) == LABELS).mean()
    assert right > (Replay.said == LABELS[None]).mean(axis=1).max()


@pytest.mark.notes("S2-87")
@pytest.mark.usefixtures("x64")
def test_the_bound_on_the_training_error():
    """For two classes it is at most Π 2√(ε(1 − ε)) (Freund & Schapire 1997), whatever the members say."""

    @jax.jit
    def boost(wrong):
        def step(weights, wrong):
            alpha, error, weights = samme_round(weights, wrong, 2)
            return weights, (alpha, error)

        _, (alphas, errors) = jax.lax.scan(step, jnp.ones(50) / 50, wrong)
        margin = jnp.sum(jnp.where(wrong, -alphas[:, None], alphas[:, None]), axis=0)
        return jnp.mean(margin <= 0), jnp.prod(2 * jnp.sqrt(errors * (1 - errors)))

    draws = np.random.default_rng(1).random((20, 12, 50)) < 0.3
    found = np.array([boost(jnp.asarray(wrong)) for wrong in draws])
    assert (found[:, 0] <= found[:, 1] + 1e-12).all()
    assert 0 < np.median(found[:, 1]) < 0.7


@pytest.mark.usefixtures("x64")
def test_a_round_with_a_perfect_member_and_one_of_chance():
    alphas, errors, weights = jax.jit(
        jax.vmap(lambda wrong: samme_round(jnp.array([2.0, 2.0, 4.0]), wrong, 3))
    )(jnp.array([[False] * 3, [True] * 3, [True, False, False]]))
    np.testing.assert_allclose(errors, [0, 1, 0.25])
    assert np.isfinite(alphas).all()
    assert alphas[0] > 30
    assert alphas[1] == 0
    np.testing.assert_allclose(weights[0], [0.25, 0.25, 0.5])
    np.testing.assert_allclose(weights[1], [0.25, 0.25, 0.5])
    np.testing.assert_allclose(alphas[2], np.log(3) + np.log(2))
    np.testing.assert_allclose(weights[2], np.array([1.5, 0.25, 0.5]) / 2.25)


@pytest.mark.usefixtures("x64")
def test_gradient_boosting_with_least_squares():
    """On an orthonormal design a step is the least-squares fit: what is left shrinks by 1 − η a round."""
    design = np.linalg.qr(RNG.normal(size=(16, 3)))[0] * 4  # columns of length √16
    y = design @ np.array([[1.0], [2.0], [-1.0]])
    trainer = Trainer(dense(1, use_bias=False), sgd(0.5), mean_squared_error, metric=None, batch_size=16)
    boosted = gradient_boosting(
        trainer, lambda o, y: 0.5 * mean_squared_error(o, y), jax.random.key(0), (design, y), 60,
        rounds=4, learning_rate=0.3, start=jnp.zeros(1),
    )  # fmt: skip
    left = 0.7 ** np.arange(5)
    np.testing.assert_allclose(boosted.losses, 0.5 * np.mean(y**2) * left**2, rtol=1e-6)
    staged = np.asarray(boosted.staged(design))
    np.testing.assert_allclose(staged, (1 - left[1:, None, None]) * y[None], atol=1e-7)
    np.testing.assert_allclose(boosted.predict(design), staged[-1], rtol=1e-12)


def test_each_member_is_fitted_to_the_slopes():
    """Of the logistic loss, y − σ(F), weighted, on half of the examples; from a start that is given."""
    y = (LABELS > 0).astype(np.float32)[:, None]
    weights = RNG.uniform(0.5, 1.5, size=60).astype(np.float32)
    trainer = Trainer(dense(1), sgd(0.3), mean_squared_error, metric=None, batch_size=60)
    boosted = gradient_boosting(
        trainer, sigmoid_binary_cross_entropy, jax.random.key(1), (X, y, weights), 150,
        rounds=3, learning_rate=0.5, subsample=0.5, start=1.5,
    )  # fmt: skip
    design, total = np.c_[X, np.ones(60)], np.full((60, 1), 1.5)
    for t, said in enumerate(np.asarray(boosted.members.predict(X))):
        sample_key, _ = jax.random.split(jax.random.fold_in(jax.random.key(1), t))
        drawn = np.asarray(shuffled_indices(sample_key, 60)) < 30
        slopes, root = y - 1 / (1 + np.exp(-total)), np.sqrt(weights * drawn)[:, None]
        solution = np.linalg.lstsq(root * design, root * slopes, rcond=None)[0]
        np.testing.assert_allclose(said, design @ solution, atol=2e-3)
        total = total + 0.5 * said
    np.testing.assert_allclose(boosted.predict(X), total, rtol=1e-5)
    losses = np.log1p(np.exp(-(2 * y - 1) * 1.5))[:, 0]
    np.testing.assert_allclose(boosted.losses[0], np.average(losses, weights=weights), rtol=1e-5)

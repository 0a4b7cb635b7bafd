"""Averages and votes: the numbers of the notes, scikit-learn's voting, weights, ties and abstentions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.ensemble
from sklearn.base import BaseEstimator, ClassifierMixin

from jaxopt_notes import losses
from jaxopt_notes.ensembles import average, count_votes, vote

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 7, 3))


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier that says what it is told."""

    def __init__(self, logits=None):
        self.logits = logits

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x):
        return scipy.special.softmax(self.logits, axis=1)

    def predict(self, x):
        return self.logits.argmax(axis=1)


@pytest.mark.notes("S2-86", "X-12")
@pytest.mark.usefixtures("x64")
def test_beside_scikit_learn():
    """Soft and hard voting, plain and weighted; weighted averages need no weights that sum to 1."""
    x, y, weights = np.zeros((7, 1)), np.arange(7) % 3, np.array([0.5, 1.0, 2.0, 0.25, 3.0])

    @jax.jit
    def ours(logits, weights):
        return [
            (
                average(logits, w, of="probabilities"),
                average(logits, w),
                vote(logits, w),
                count_votes(logits, w),
            )
            for w in (None, weights)
        ]

    for found, w in zip(ours(jnp.asarray(LOGITS), jnp.asarray(weights)), (None, weights), strict=True):
        members = [(f"m{i}", Fixed(logits)) for i, logits in enumerate(LOGITS)]
        soft, hard = (
            sklearn.ensemble.VotingClassifier(members, voting=kind, weights=w).fit(x, y)
            for kind in ("soft", "hard")
        )
        logs, mean, elected, counts = found
        np.testing.assert_allclose(np.exp(logs), soft.predict_proba(x), rtol=1e-12)
        np.testing.assert_allclose(mean, np.average(LOGITS, axis=0, weights=w), rtol=1e-12)
        np.testing.assert_array_equal(elected, hard.predict(x))
        np.testing.assert_allclose(counts.sum(axis=1), 5 if w is None else w.sum())


@pytest.mark.notes("S2-86", "X-11")
def test_votes_of_the_notes():
    """Nine nets say 7 4 7 4 7 7 9 7 7; of 2 2 1 0 none has more than half; nine right with 0.6: 0.7334."""
    nine = jnp.array([7, 4, 7, 4, 7, 7, 9, 7, 7])[:, None]
    split = jnp.array([[2, 0, -1], [2, 0, -1], [1, 0, 1], [0, 1, 1]])

    @jax.jit
    def elections(nine, split, right):
        return (
            vote(nine, rule="majority", classes=10), vote(split, classes=3),
            vote(split, rule="majority", classes=3), vote(split, jnp.ones(4), rule="majority", classes=3),
            vote(split, jnp.array([1.0, 1.0, 3.0, 0.0]), rule="majority", classes=3),
            jnp.mean(vote(right, classes=2)),
        )  # fmt: skip

    right = jnp.asarray(np.random.default_rng(1).random((9, 100_000)) < 0.6).astype(jnp.int32)
    seven, most, half, same, weighted, share = elections(nine, split, right)
    assert seven.tolist() == [7]
    assert most.tolist() == [2, 0, 1]
    assert half.tolist() == same.tolist() == [-1, 0, -1]
    assert weighted.tolist() == [1, 0, 1]
    exact = scipy.stats.binom.sf(4, 9, 0.6)
    assert exact == pytest.approx(0.7334, abs=5e-5)
    assert float(share) == pytest.approx(exact, abs=4 * (0.25 / 100_000) ** 0.5)


def test_the_log_of_a_mean_is_a_logit_again():
    """Also where all members are certain of the same class, and the others underflow."""
    logits = jnp.array([[[200.0, 0.0, -300.0]], [[190.0, 0.0, -310.0]]])
    logs, loss, slope = jax.jit(
        lambda logits: (
            average(logits, of="probabilities"),
            losses.softmax_cross_entropy(average(logits, of="probabilities"), jnp.array([1])),
            jax.grad(lambda l: average(l, of="probabilities")[0, 1])(logits),
        )
    )(logits)
    expected = scipy.special.logsumexp([[0.0, -200, -500], [0.0, -190, -500]], axis=0) - np.log(2)
    np.testing.assert_allclose(logs[0], expected, rtol=1e-6)
    np.testing.assert_allclose(loss, -expected[1], rtol=1e-6)
    assert np.isfinite(slope).all()


def test_who_has_no_weight_may_say_anything_and_a_member_may_abstain_from_some():
    outputs = jnp.array([[1.0, 2.0], [jnp.nan, jnp.inf], [3.0, 6.0]])
    np.testing.assert_allclose(average(outputs, jnp.array([1.0, 0.0, 1.0])), [2.0, 4.0])
    np.testing.assert_allclose(average(outputs, jnp.array([[1, 0], [0, 0], [1, 0]])), [2.0, 0.0])
    diverged = np.float32([[[0, 1]], [[np.nan, np.nan]], [[np.nan, 5]]])  # who says NaN names no class
    assert count_votes(diverged).tolist() == [[0.0, 1.0]]
    with pytest.raises(ValueError, match=r"weights\) has shape \(2,\)"):
        average(outputs, jnp.ones(2))
    with pytest.raises(ValueError, match=r"classes\) is None"):
        vote(jnp.array([[1]]))

"""Rare classes: weights as scikit-learn has them, balanced batches, and SMOTE by its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.utils.class_weight
from jax.tree_util import Partial

from jaxopt_notes.data import balanced_batches, class_weights, smote, synthetic_samples
from jaxopt_notes.losses import softmax_cross_entropy, weighted_mean
from tests.compiled import compiled

balanced_batches = compiled(balanced_batches)
class_weights = compiled(class_weights)
softmax_cross_entropy = compiled(softmax_cross_entropy)
weighted_mean = compiled(weighted_mean)

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 3, 4], [60, 25, 10, 5])  # no class 2


def test_class_weights_are_those_of_scikit_learn_and_serve_the_loss_in_two_ways():
    weights = np.array([1.0, 2.0, 0.0])[np.arange(100) % 3]
    logits = RNG.normal(size=(100, 5)).astype(np.float32)

    @jax.jit
    def ours(labels, logits):
        all_, fold = class_weights(labels, 5), class_weights(labels, 5, weights=weights)
        loss = Partial(softmax_cross_entropy, class_weights=all_)(logits, labels)
        mean = weighted_mean(softmax_cross_entropy(logits, labels), all_[labels])
        smooth = softmax_cross_entropy(logits, labels, label_smoothing=0.1, class_weights=all_)
        return all_, fold, loss, mean, smooth, class_weights(jnp.where(labels == 4, -1, labels), 5)

    all_, fold, loss, mean, smooth, without = map(np.asarray, ours(LABELS, logits))
    present = np.array([0, 1, 3, 4])
    expected = sklearn.utils.class_weight.compute_class_weight("balanced", classes=present, y=LABELS)
    np.testing.assert_allclose(all_[present], expected, rtol=1e-6)
    assert all_[2] == 0
    repeated = np.repeat(LABELS, weights.astype(int))
    expected = sklearn.utils.class_weight.compute_class_weight("balanced", classes=present, y=repeated)
    np.testing.assert_allclose(fold[present], expected, rtol=1e-6)
    expected = sklearn.utils.class_weight.compute_class_weight(
        "balanced", classes=np.array([0, 1, 3]), y=LABELS[:95]
    )
    np.testing.assert_allclose(without[[0, 1, 3]], expected, rtol=1e-6)
    log_p = logits - np.log(np.exp(logits.astype(np.float64)).sum(axis=1, keepdims=True))
    values = -log_p[np.arange(100), LABELS]
    np.testing.assert_allclose(loss, all_[LABELS] * values, rtol=1e-4)
    np.testing.assert_allclose(mean, np.average(values, weights=all_[LABELS]), rtol=1e-5)  # torch's mean
    q = 0.9 * np.eye(5)[LABELS] + 0.02
    np.testing.assert_allclose(smooth, -(all_ * q * log_p).sum(axis=1), rtol=1e-4)
    with pytest.raises(ValueError, match=r"class_weights\) has shape \(4,\), expected \(5,\)"):
        jax.eval_shape(lambda: softmax_cross_entropy(logits, LABELS, class_weights=all_[:4]))


def test_every_batch_has_all_classes_alike_and_no_sample_is_preferred():
    labels = np.where(np.arange(100) == 99, -1, LABELS)  # one is of no class
    draw = jax.jit(lambda key: balanced_batches(key, labels, 10, 5, steps=16))
    indices, weights = map(np.asarray, draw(jax.random.key(0)))
    assert indices.shape == (16, 10)
    assert (weights == 1).all()
    for batch in indices:
        counts = np.bincount(labels[batch], minlength=5)
        assert counts[2] == 0
        assert counts.sum() == 10
        assert set(counts[[0, 1, 3, 4]].tolist()) <= {2, 3}
    often = np.bincount(indices.ravel(), minlength=100)
    for c, n in zip([0, 1, 3, 4], [60, 25, 10, 4], strict=True):
        of_class = often[labels == c]
        assert of_class.sum() == 40  # a quarter of all
        assert set(of_class.tolist()) <= {40 // n, -(-40 // n)}  # all by turns
    assert not np.array_equal(indices, draw(jax.random.key(1))[0])
    assert balanced_batches(jax.random.key(0), labels, 32, 5).indices.shape == (4, 32)


@pytest.mark.notes("X-08")
def test_smote_draws_between_a_sample_and_its_nearest_neighbours():
    x = RNG.normal(size=(40, 2)).astype(np.float32) + 100
    y = np.repeat([3, 7], [32, 8]).astype(np.int32)
    more, labels = map(np.asarray, smote(jax.random.key(0), (x, y), neighbors=3))
    np.testing.assert_array_equal(more[:40], x)
    np.testing.assert_array_equal(labels, np.append(y, np.full(24, 7)))
    rare = x[y == 7]
    many = np.asarray(jax.jit(lambda key: synthetic_samples(key, rare, 3000, 3))(jax.random.key(1)))
    apart = np.linalg.norm(rare[:, None] - rare[None], axis=-1)
    nearest = np.argsort(apart, axis=1)[:, 1:4]  # the first is the sample itself
    starts, ends = np.repeat(rare, 3, axis=0), rare[nearest.ravel()]
    line = ends - starts  # each of the 24 segments
    for points in (more[40:], many):
        share = np.einsum("pkd,kd->pk", points[:, None] - starts[None], line) / np.sum(line**2, axis=1)
        off = np.linalg.norm(points[:, None] - starts - share[..., None] * line, axis=-1)
        on = (off < 1e-4) & (share > -1e-4) & (share < 1 + 1e-4)
        assert on.any(axis=1).all()
    only = on.sum(axis=1) == 1  # segments that are nobody's way back
    shares = share[only][on[only]]
    np.testing.assert_allclose(np.quantile(shares, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.06)
    back = np.array([i in nearest[j] for i in range(8) for j in nearest[i]])
    counts = on[only].sum(axis=0)[~back]
    assert len(counts) > 0
    assert np.all(np.abs(counts - 125) < 5 * np.sqrt(125))
    tiny = jax.jit(lambda x: synthetic_samples(jax.random.key(1), x, 3000, 3))(rare * 2.0**-90)
    np.testing.assert_array_equal(np.asarray(tiny) * 2.0**90, many)  # distances are squared
    images = RNG.integers(0, 255, (6, 2, 2, 1)).astype(np.uint8)
    images = compiled(synthetic_samples)(jax.random.key(0), images, 5)
    assert (images.shape, images.dtype) == ((5, 2, 2, 1), jnp.uint8)


@pytest.mark.notes("X-08")
def test_classes_that_are_too_small_are_named():
    x, y = np.zeros((9, 1)), np.repeat([0, 1], [6, 3])
    with pytest.raises(
        ValueError, match=r"smote\(neighbors\) is 5, but class 1 has 3 samples.*class_weights"
    ):
        smote(jax.random.key(0), (x, y))
    with pytest.raises(TypeError, match="traced labels"):
        jax.eval_shape(lambda y: smote(jax.random.key(0), (x, y)), jnp.asarray(y))


def test_what_smote_cannot_take_is_named():
    x, y = np.zeros((9, 1)), np.repeat([0, 1], [6, 3])
    for data, said in (((x, y, np.ones(9)), "has weights"), (x, r"is a ndarray of shape \(9, 1\)")):
        with pytest.raises(TypeError, match=rf"smote\(data\) {said}, expected \(x, y\)"):
            smote(jax.random.key(0), data)
    with pytest.raises(TypeError, match=r"smote\(key\) is 0, expected one typed random key"):
        smote(0, (x, y))

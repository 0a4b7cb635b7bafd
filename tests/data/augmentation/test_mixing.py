"""Mixing: partners within the batch, targets by the same shares, and nothing of what only fills a batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import cutmix, mixup, sample_pairing
from jaxopt_notes.layers import mask_batch
from jaxopt_notes.losses import softmax_cross_entropy
from tests.compiled import compiled

N = 600
IDENTITY = jnp.eye(N)  # what an example has of each of the others


def shares(mixed):
    """The partner of each example and its own share, from mixed rows of the identity."""
    mixed = np.asarray(mixed, np.float64)
    own = np.diagonal(mixed)
    others = mixed - np.diag(own)
    partner = np.where(others.any(axis=1), others.argmax(axis=1), np.arange(len(mixed)))
    assert (np.count_nonzero(others, axis=1) <= 1).all()
    return partner, own


@pytest.mark.notes("S1-78", "X-10")
def test_mixup_takes_weighted_means_of_inputs_and_targets():
    y = np.arange(N) % 3
    x, targets = jax.jit(mixup(2.0, classes=3))(jax.random.key(0), IDENTITY, y)
    partner, own = shares(x)
    assert sorted(partner.tolist()) == list(range(N))  # everyone serves once
    assert (partner != np.arange(N)).all()
    one_hot = np.eye(3)[np.asarray(y)]
    np.testing.assert_allclose(
        targets, own[:, None] * one_hot + (1 - own[:, None]) * one_hot[partner], atol=1e-6
    )
    # Beta(2, 2): mean ½, variance 1/20
    np.testing.assert_allclose([own.mean(), own.var()], [0.5, 0.05], atol=0.02)
    # A loss of soft targets is the mean of the two losses.
    logits, loss = np.float32(np.random.default_rng(0).normal(size=(N, 3))), compiled(softmax_cross_entropy)
    pair = [np.asarray(loss(logits, labels)) for labels in (y, y[partner])]
    expected = own * pair[0] + (1 - own) * pair[1]
    np.testing.assert_allclose(loss(logits, targets), expected, rtol=1e-5)


@pytest.mark.notes("S1-78")
def test_cutmix_pastes_a_rectangle_and_mixes_targets_by_area():
    n, h, w = 1000, 8, 10
    x = jnp.broadcast_to(jnp.arange(n, dtype=jnp.float32).reshape(n, 1, 1, 1), (n, h, w, 1))
    y, targets = jax.jit(cutmix(1.0, 0.8))(jax.random.key(0), x, jnp.arange(n, dtype=jnp.float32))
    y = np.asarray(y)[..., 0]
    own = y == np.arange(n)[:, None, None]
    area = (~own).mean(axis=(1, 2))
    partner = y.reshape(n, -1)[np.arange(n), np.argmin(own.reshape(n, -1), axis=1)]
    assert np.array_equal(y, np.where(own, np.arange(n)[:, None, None], partner[:, None, None]))
    rows, columns = (~own).any(axis=2).sum(axis=1), (~own).any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(rows * columns, (~own).sum(axis=(1, 2)))  # full rectangles
    np.testing.assert_allclose(targets, (1 - area) * np.arange(n) + area * partner, rtol=1e-5, atol=1e-4)
    # The middle is any pixel; sides are √(1 − λ') of the image's, cut off at its edges.
    assert abs((area == 0).mean() - 0.2) < 0.12
    rng = np.random.default_rng(0)
    side, middle = np.sqrt(1 - rng.uniform(size=100_000)), rng.uniform(size=(2, 100_000))
    expected = 1.0
    for size, m in zip((h, w), middle, strict=True):
        m, half = np.floor(m * size), np.floor(side * size / 2)
        expected = expected * (np.minimum(m + half, size) - np.maximum(m - half, 0)) / size
    np.testing.assert_allclose(area.mean(), 0.8 * expected.mean(), atol=0.03)


@pytest.mark.notes("X-09")
def test_sample_pairing_averages_inputs_and_keeps_targets():
    y = jnp.arange(N)
    x, targets = jax.jit(sample_pairing(rate=0.8))(jax.random.key(0), IDENTITY, y)
    partner, own = shares(x)
    np.testing.assert_array_equal(targets, y)
    assert set(np.unique(own)) == {0.5, 1.0}
    assert abs((own == 0.5).mean() - 0.8) < 0.1
    assert (partner[own == 0.5] != np.arange(N)[own == 0.5]).all()


@pytest.mark.notes("S0-07")
def test_examples_of_weight_0_are_mixed_into_none():
    """They fill a batch, or belong to the fold that validates."""
    mask = jnp.arange(N) % 4 != 0

    def both(mask):
        augment = (mask_batch(kind, mask) for kind in (mixup(1.0, 3), sample_pairing()))
        alone, _ = mixup()(jax.random.key(0), IDENTITY[:1])
        return [kind(jax.random.key(2), IDENTITY)[0] for kind in augment], alone

    found, alone = jax.jit(both)(mask)
    for mixed in found:
        partner, _ = shares(mixed)
        counts = np.asarray(mask)
        assert counts[partner[counts]].all()
        assert (partner[counts] != np.arange(N)[counts]).all()
        np.testing.assert_array_equal(np.asarray(mixed)[~counts], np.eye(N)[~counts])
    np.testing.assert_allclose(alone, IDENTITY[:1], rtol=1e-6)


def test_labels_need_the_number_of_classes():
    x = jnp.zeros((2, 4, 4, 1))
    for augment in (mixup(), cutmix()):
        with pytest.raises(
            ValueError, match=r"\(classes\) is None, but the targets are labels .* classes=10"
        ):
            jax.eval_shape(augment, jax.random.key(0), x, jnp.array([1, 0]))

"""Losses against torch and optax where the definitions agree; where they differ, by the stated factor."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes.losses as ours

RNG = np.random.default_rng(0)
LOGITS, LABELS = RNG.normal(size=(6, 4)), RNG.integers(0, 4, 6)
A, B = 3 * RNG.normal(size=(6, 4)), RNG.normal(size=(6, 4))
BITS = RNG.integers(0, 2, (6, 4)).astype(float)

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("x64")]


def test_torch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    logits, labels, a, b, bits = map(torch.tensor, (LOGITS, LABELS, A, B, BITS))

    def same(value, theirs):
        np.testing.assert_allclose(value, theirs.numpy(), rtol=1e-12)

    for s in (0.0, 0.1):
        values = ours.softmax_cross_entropy(LOGITS, LABELS, label_smoothing=s)
        same(values, functional.cross_entropy(logits, labels, reduction="none", label_smoothing=s))
    soft = RNG.dirichlet(np.ones(4), size=6)
    same(
        ours.softmax_cross_entropy(LOGITS, soft, label_smoothing=0.1),
        functional.cross_entropy(logits, torch.tensor(soft), reduction="none", label_smoothing=0.1),
    )
    same(
        ours.sigmoid_binary_cross_entropy(LOGITS, BITS) / 4,
        functional.binary_cross_entropy_with_logits(logits, bits, reduction="none").mean(1),
    )
    same(ours.weighted_mean(ours.mean_squared_error(A, B)), functional.mse_loss(a, b))
    same(ours.weighted_mean(ours.mean_absolute_error(A, B)), functional.l1_loss(a, b))
    same(ours.weighted_mean(ours.huber(A, B, delta=0.7)), functional.huber_loss(a, b, delta=0.7))
    same(ours.weighted_mean(ours.huber(A, B, delta=0.7)) / 0.7, functional.smooth_l1_loss(a, b, beta=0.7))


@pytest.mark.full
def test_torch_ignore_index_is_the_mean_over_valid_steps():
    torch = pytest.importorskip("torch")
    logits, labels = RNG.normal(size=(3, 5, 4)), RNG.integers(0, 4, (3, 5))
    labels[0, 3:], labels[2, 1:] = -1, -1
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(logits.reshape(-1, 4)), torch.tensor(labels.reshape(-1)), ignore_index=-1
    )
    mean = ours.weighted_mean(ours.sequence_cross_entropy(logits, labels), (labels >= 0).sum(axis=1))
    np.testing.assert_allclose(mean, theirs.numpy(), rtol=1e-12)


def test_optax():
    optax = pytest.importorskip("optax")
    labels = jnp.asarray(LABELS)

    def same(value, theirs):
        np.testing.assert_allclose(value, theirs, rtol=1e-12)

    logits = jnp.asarray(LOGITS)
    same(
        ours.softmax_cross_entropy(LOGITS, LABELS),
        optax.softmax_cross_entropy_with_integer_labels(logits, labels),
    )
    smooth = optax.smooth_labels(jnp.eye(4)[labels], 0.1)
    same(
        ours.softmax_cross_entropy(LOGITS, LABELS, label_smoothing=0.1),
        optax.softmax_cross_entropy(logits, smooth),
    )
    same(
        ours.sigmoid_binary_cross_entropy(LOGITS, BITS),
        optax.sigmoid_binary_cross_entropy(logits, jnp.asarray(BITS)).sum(1),
    )
    a, b = jnp.asarray(A), jnp.asarray(B)
    same(ours.mean_squared_error(A, B), optax.squared_error(a, b).mean(1))
    same(ours.half_mean_squared_error(A, B), optax.l2_loss(a, b).mean(1))
    same(ours.huber(A, B, delta=0.7), optax.huber_loss(a, b, delta=0.7).mean(1))

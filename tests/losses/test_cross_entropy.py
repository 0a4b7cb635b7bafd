"""Cross-entropy against float64 NumPy written from the formula, and at the edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.losses import (
    sequence_cross_entropy,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    weighted_mean,
)
from tests.compiled import compiled, grad, value_and_grad

sequence_cross_entropy = compiled(sequence_cross_entropy)
sigmoid_binary_cross_entropy = compiled(sigmoid_binary_cross_entropy)
softmax_cross_entropy = compiled(softmax_cross_entropy)
weighted_mean = compiled(weighted_mean)

RNG = np.random.default_rng(0)


def log_softmax(z):
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("s", [0.0, 0.1, 1.0])
def test_softmax_of_labels_one_hot_and_soft_targets(s):
    z, labels = RNG.normal(size=(6, 4)), RNG.integers(0, 4, 6)
    p = RNG.dirichlet(np.ones(4), size=6)
    for targets, probabilities in [
        (labels, np.eye(4)[labels]),
        (np.eye(4)[labels], np.eye(4)[labels]),
        (p, p),
    ]:
        expected = -(((1 - s) * probabilities + s / 4) * log_softmax(z)).sum(axis=-1)
        np.testing.assert_allclose(softmax_cross_entropy(z, targets, label_smoothing=s), expected, rtol=1e-13)


@pytest.mark.usefixtures("x64")
def test_gradient_of_softmax_is_probability_minus_target():
    z, labels = RNG.normal(size=(6, 4)), RNG.integers(0, 4, 6)
    gradient = grad(lambda z: jnp.sum(softmax_cross_entropy(z, labels)))(jnp.asarray(z))
    np.testing.assert_allclose(gradient, np.exp(log_softmax(z)) - np.eye(4)[labels], atol=1e-14)


def test_softmax_of_huge_logits_is_finite():
    z = jnp.array([[1e30, 0.0], [-1e30, 1e30]])
    value, gradient = value_and_grad(lambda z: jnp.sum(softmax_cross_entropy(z, jnp.array([0, 1]))))(z)
    assert value == 0
    assert not gradient.any()


def test_a_class_ruled_out_by_minus_infinity_costs_nothing():
    z, labels = jnp.array([[1.0, -jnp.inf, 0.5]]), jnp.array([0])
    value, gradient = value_and_grad(lambda z: softmax_cross_entropy(z, labels)[0])(z)
    two = jnp.array([[1.0, 0.5]])
    np.testing.assert_allclose(value, softmax_cross_entropy(two, labels)[0], rtol=1e-6)
    assert gradient[0, 1] == 0
    assert bool(jnp.all(jnp.isfinite(gradient)))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("dtype", [jnp.int32, jnp.int8, jnp.uint8])
def test_a_label_out_of_range_is_no_class(smoothing, dtype):
    """Neither NaN nor a neighbouring class: loss 0, gradient 0."""
    z = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)
    labels = jnp.array([4, 100, 2], dtype) if dtype == jnp.uint8 else jnp.array([4, -1, 2], dtype)

    def values(z):
        return softmax_cross_entropy(z, labels, label_smoothing=smoothing)

    gradient = grad(lambda z: jnp.sum(values(z)))(z)
    assert values(z)[:2].tolist() == [0.0, 0.0]
    assert values(z)[2] > 0
    assert not gradient[:2].any()
    assert gradient[2].all()


def test_labels_of_a_narrow_dtype_reach_many_classes():
    """In uint8, class 256 would be class 0 again."""
    z = jnp.zeros((1, 300)).at[0, 256].set(5.0)
    wide = softmax_cross_entropy(z, jnp.array([0], jnp.int32))
    assert softmax_cross_entropy(z, jnp.array([0], jnp.uint8)) == wide


def test_softmax_names_both_shapes():
    with pytest.raises(ValueError, match=r"shape \(8, 1\), but the outputs have shape \(8, 3\): .* \(8,\)"):
        softmax_cross_entropy(jnp.zeros((8, 3)), jnp.zeros((8, 1), jnp.int32))
    with pytest.raises(TypeError, match=r"dtype float32 .* targets\.astype\(int\)"):
        softmax_cross_entropy(jnp.zeros((8, 3)), jnp.zeros(8))


@pytest.mark.usefixtures("x64")
def test_sigmoid_sums_the_negative_log_likelihoods():
    z, y = RNG.normal(size=(5, 3)), RNG.uniform(size=(5, 3))
    for s in (0.0, 0.2):
        q, p = (1 - s) * y + s / 2, 1 / (1 + np.exp(-z))
        expected = -(q * np.log(p) + (1 - q) * np.log(1 - p)).sum(axis=-1)
        np.testing.assert_allclose(
            sigmoid_binary_cross_entropy(z, y, label_smoothing=s), expected, rtol=1e-13
        )


@pytest.mark.usefixtures("x64")
def test_sigmoid_of_one_question_is_softmax_of_two_classes():
    z, y = RNG.normal(size=7), RNG.integers(0, 2, 7)
    logits = np.stack([np.zeros(7), z], axis=-1)
    for s in (0.0, 0.2):
        binary = sigmoid_binary_cross_entropy(z, y, label_smoothing=s)
        np.testing.assert_allclose(binary, softmax_cross_entropy(logits, y, label_smoothing=s), rtol=1e-13)


def test_small_losses_of_sigmoid_keep_their_digits():
    z, y = jnp.array([30.0, -30.0, 200.0, -200.0]), jnp.array([1.0, 0.0, 0.0, 1.0])
    expected = [np.exp(-30.0), np.exp(-30.0), 200.0, 200.0]
    np.testing.assert_allclose(sigmoid_binary_cross_entropy(z, y), expected, rtol=1e-5)
    slopes = grad(lambda z: jnp.sum(sigmoid_binary_cross_entropy(z, y)))(z)
    np.testing.assert_allclose(slopes, [-np.exp(-30.0), np.exp(-30.0), 1.0, -1.0], rtol=1e-5)


@pytest.mark.notes("S0-03")
@pytest.mark.usefixtures("x64")
def test_a_sequence_is_a_batch_of_steps():
    """B·T classifications, and for an image of classes B·H·W."""
    for steps in [(5,), (3, 4)]:
        z, labels = RNG.normal(size=(6, *steps, 4)), RNG.integers(0, 4, (6, *steps))
        plain = -log_softmax(z.reshape(-1, 4))[np.arange(labels.size), labels.reshape(-1)].mean()
        values = sequence_cross_entropy(z, labels)
        assert values.shape == (6,)
        np.testing.assert_allclose(weighted_mean(values), plain, rtol=1e-13)


@pytest.mark.notes("S0-03")
@pytest.mark.usefixtures("x64")
def test_a_masked_sequence_is_the_batch_of_its_valid_steps():
    z, labels = RNG.normal(size=(3, 4, 5)), RNG.integers(0, 5, (3, 4))
    mask = np.arange(4)[None, :] < np.array([4, 1, 2])[:, None]
    steps = -np.take_along_axis(log_softmax(z), labels[..., None], -1)[..., 0]
    values = sequence_cross_entropy(z, labels, mask)
    np.testing.assert_allclose(values, [steps[0].mean(), steps[1, 0], steps[2, :2].mean()], rtol=1e-13)
    np.testing.assert_allclose(weighted_mean(values, mask.sum(axis=1)), steps[mask].mean(), rtol=1e-13)
    padded = sequence_cross_entropy(z, np.where(mask, labels, -1))
    np.testing.assert_allclose(padded, values, rtol=1e-13)


@pytest.mark.notes("S0-03")
def test_masked_steps_have_no_gradient_whatever_they_hold():
    z = jnp.asarray(RNG.normal(size=(2, 3, 4)), jnp.float32)
    z = z.at[0, 2].set(jnp.nan).at[1, 1].set(jnp.inf)
    labels, mask = jnp.zeros((2, 3), jnp.int32), jnp.array([[1, 1, 0], [1, 0, 0]])
    value, gradient = value_and_grad(lambda z: jnp.sum(sequence_cross_entropy(z, labels, mask)))(z)
    assert bool(jnp.isfinite(value))
    assert not gradient[mask == 0].any()
    assert bool(jnp.all(jnp.isfinite(gradient) & (gradient != 0), where=(mask == 1)[..., None]))


def test_a_sequence_without_valid_steps_is_zero():
    z = jnp.ones((2, 3, 4))
    labels = jnp.array([[-1, -1, -1], [0, 1, 2]])
    values, gradient = value_and_grad(lambda z: jnp.sum(sequence_cross_entropy(z, labels)))(z)
    np.testing.assert_allclose(values, np.log(4), rtol=1e-6)
    assert not gradient[0].any()


def test_sequence_names_what_does_not_fit():
    z, labels = jnp.zeros((2, 3, 4)), jnp.zeros((2, 3), jnp.int32)
    with pytest.raises(ValueError, match=r"targets\) has shape \(2,\), .* \(2, 3, 4\): .* \(2, 3\)"):
        sequence_cross_entropy(z, labels[:, 0])
    with pytest.raises(ValueError, match=r"mask\) has shape \(2,\), .* \(2, 3\): .* lengths"):
        sequence_cross_entropy(z, labels, jnp.ones(2))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("s", [0.1, 1.0])
def test_smoothing_of_a_sequence_and_weights_of_its_steps(s):
    """The weighted mean of the smoothed losses of the steps that have a label; weights need not be 0 or 1."""
    z, labels = RNG.normal(size=(3, 4, 5)), RNG.integers(0, 5, (3, 4))
    weights = RNG.uniform(0.1, 2, size=(3, 4))
    q = (1 - s) * np.eye(5)[labels] + s / 5
    steps = -(q * log_softmax(z)).sum(axis=-1)
    values = sequence_cross_entropy(z, labels, label_smoothing=s)
    np.testing.assert_allclose(values, steps.mean(axis=1), rtol=1e-13)
    values = sequence_cross_entropy(z, labels, weights, label_smoothing=s)
    np.testing.assert_allclose(values, (weights * steps).sum(1) / weights.sum(1), rtol=1e-13)
    for nothing in (-1, 5, 100):  # neither below nor above is a class
        labels[:, 1] = nothing
        weights[:, 1] = 0
        values = sequence_cross_entropy(z, labels, label_smoothing=s)
        np.testing.assert_allclose(values, (steps * (weights > 0)).sum(1) / 3, rtol=1e-13)


def test_the_slope_by_a_probability_of_zero_is_minus_its_logarithm():
    """So that soft targets can be learned; a class that is ruled out has none."""
    z = jnp.array([[1.0, 0.5, -jnp.inf]])
    slope = grad(lambda q: softmax_cross_entropy(z, q)[0])(jnp.array([[1.0, 0.0, 0.0]]))
    expected = np.log(np.exp(1) + np.exp(0.5)) - np.array([1.0, 0.5])
    np.testing.assert_allclose(slope[0, :2], expected, rtol=1e-6)
    assert slope[0, 2] == 0


@pytest.mark.notes("S3-55")
def test_binary_smoothing_by_hand():
    """y = 1 and s = 0.2 become 0.9, y = 0 becomes 0.1."""
    z = np.array([[2.0, -1.0]])
    p = 1 / (1 + np.exp(-z))
    expected = -(0.9 * np.log(p[0, 0]) + 0.1 * np.log(1 - p[0, 0])) - (
        0.1 * np.log(p[0, 1]) + 0.9 * np.log(1 - p[0, 1])
    )
    values = sigmoid_binary_cross_entropy(
        jnp.asarray(z, jnp.float32), jnp.array([[1, 0]]), label_smoothing=0.2
    )
    np.testing.assert_allclose(values, [expected], rtol=1e-6)


def test_small_losses_of_softmax_keep_their_digits():
    """1 − p below the precision of 1: the loss is e⁻⁴⁰ and not 0, and so is its gradient."""
    z = jnp.array([[40.0, 0.0, -1.0], [0.0, 1e4, 0.0], [2.0, 2.0, 2.0], [0.0, 90.0, 0.0]])
    labels = jnp.array([0, 1, 2, 0])
    small = np.exp(-40.0) + np.exp(-41.0)
    np.testing.assert_allclose(softmax_cross_entropy(z, labels), [small, 0, np.log(3), 90], rtol=1e-5)
    slopes = grad(lambda z: jnp.sum(softmax_cross_entropy(z, labels)))(z)
    np.testing.assert_allclose(slopes[0], [-small, np.exp(-40.0), np.exp(-41.0)], rtol=1e-5)
    np.testing.assert_allclose(slopes[2], [1 / 3, 1 / 3, -2 / 3], rtol=1e-5)
    curvature = jax.hessian(lambda z: softmax_cross_entropy(z[None], labels[2:3])[0])(z[2])
    np.testing.assert_allclose(curvature, np.eye(3) / 3 - 1 / 9, atol=1e-6)  # equal logits are no corner

"""The mean weighted by sample, and what it makes of batches, duplicates and padding."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.losses import empirical_risk, half_mean_squared_error, mean_squared_error, weighted_mean
from tests.compiled import compiled, grad, value_and_grad

empirical_risk = compiled(empirical_risk)
half_mean_squared_error = compiled(half_mean_squared_error)
mean_squared_error = compiled(mean_squared_error)
weighted_mean = compiled(weighted_mean)

RNG = np.random.default_rng(0)


def test_weights_by_hand():
    values = jnp.array([1.0, 2.0, 6.0])
    assert weighted_mean(values) == 3.0
    assert weighted_mean(values, jnp.array([2.0, 1.0, 1.0])) == 2.5
    assert weighted_mean(values, jnp.array([True, False, True])) == 3.5
    assert weighted_mean(values, jnp.zeros(3)) == 0.0


def test_weights_per_sample_or_per_value():
    values = jnp.array([[1.0, 3.0], [5.0, 7.0]])
    assert weighted_mean(values, jnp.array([3.0, 1.0])) == 3.0
    assert weighted_mean(values, jnp.array([[1.0, 0.0], [1.0, 1.0]])) == pytest.approx(13 / 3)
    with pytest.raises(ValueError, match=r"weights\) has shape \(2, 1\), expected \(2,\), .*reshape"):
        weighted_mean(values, jnp.ones((2, 1)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_has_no_weight_does_not_count_whatever_it_is(bad):
    values, weights = jnp.array([1.0, bad]), jnp.array([1.0, 0.0])
    value, gradient = value_and_grad(weighted_mean)(values, weights)
    assert value == 1.0
    assert gradient.tolist() == [1.0, 0.0]
    assert not jnp.isfinite(weighted_mean(values))


def test_a_weight_of_zero_has_its_own_gradient():
    """∂/∂wᵢ = (vᵢ − mean)/Σw, at wᵢ = 0 too, so that weights can be learned."""
    slopes = grad(weighted_mean, argnums=1)(jnp.array([1.0, 5.0]), jnp.array([2.0, 0.0]))
    assert slopes.tolist() == [0.0, 2.0]


def test_half_precision_is_summed_in_single():
    values = jnp.full(4096, 1.0, jnp.float16) + jnp.asarray(np.arange(4096) % 2, jnp.float16)
    assert weighted_mean(values * jnp.float16(100.0)) == 150.0  # the sum exceeds float16's 65504


@pytest.mark.notes("S3-01")
@pytest.mark.usefixtures("x64")
def test_empirical_risk_is_the_mean_of_the_values():
    outputs, targets = RNG.normal(size=(9, 2)), RNG.normal(size=(9, 2))
    per_example = [np.mean((outputs[i] - targets[i]) ** 2) for i in range(9)]
    np.testing.assert_allclose(
        empirical_risk(mean_squared_error, outputs, targets), np.mean(per_example), rtol=1e-14
    )
    weights = RNG.uniform(size=9)
    risk = empirical_risk(mean_squared_error, outputs, targets, weights)
    np.testing.assert_allclose(risk, np.average(per_example, weights=weights), rtol=1e-14)


def regression(n):
    """The empirical risk of a linear model as a function of its weights, and data."""
    x, y = jnp.asarray(RNG.normal(size=(n, 3))), jnp.asarray(RNG.normal(size=n))

    def risk(w, x, y):
        return empirical_risk(half_mean_squared_error, x @ w, y)

    return risk, jnp.asarray(RNG.normal(size=3)), x, y


@pytest.mark.notes("S3-22")
@pytest.mark.usefixtures("x64")
def test_the_gradient_of_a_batch_is_the_mean_of_the_gradients_of_its_samples():
    risk, w, x, y = regression(5)
    residual = np.asarray(x @ w - y)
    per_sample = residual[:, None] * np.asarray(x)
    np.testing.assert_allclose(grad(risk)(w, x, y), per_sample.mean(axis=0), rtol=1e-13)


@pytest.mark.notes("S3-23")
@pytest.mark.usefixtures("x64")
def test_a_data_set_twice_over_has_the_same_gradient():
    risk, w, x, y = regression(5)
    twice = grad(risk)(w, jnp.concatenate([x, x]), jnp.concatenate([y, y]))
    np.testing.assert_allclose(twice, grad(risk)(w, x, y), rtol=1e-14)


@pytest.mark.usefixtures("x64")
def test_weights_that_are_no_counts_divide_by_their_sum():
    values, weights = RNG.normal(size=(4, 3)), RNG.uniform(size=4)
    np.testing.assert_allclose(
        weighted_mean(values, weights), np.average(values.mean(axis=1), weights=weights), rtol=1e-13
    )
    np.testing.assert_allclose(weighted_mean(values, 7 * weights), weighted_mean(values, weights), rtol=1e-13)


def test_means_of_values_and_weights_of_every_size():
    v, w = np.array([1.0, 2.0, 6.0, 3.0]), np.array([2.0, 1.0, 1.0, 0.0])
    for size in (1e-37, 1e37):
        for weight in (1e-37, 1e37):
            values, weights = (jnp.asarray(x, jnp.float32) for x in (v * size, w * weight))
            mean, slopes = value_and_grad(weighted_mean, argnums=(0, 1))(values, weights)
            np.testing.assert_allclose(np.float64(mean), 2.5 * size, rtol=1e-5)
            np.testing.assert_allclose(slopes[0], w / 4, rtol=1e-5)
            if size == weight:
                np.testing.assert_allclose(slopes[1], (v - 2.5) / 4, rtol=1e-5)
    beside = weighted_mean(jnp.array([1e-30, 3e38]), jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(beside, 1e-30, rtol=1e-6)
    np.testing.assert_allclose(weighted_mean(jnp.full(1000, 3e38)), 3e38, rtol=1e-5)

"""Squared, absolute and Huber's error: values by hand and the limits between them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.losses import half_mean_squared_error, huber, mean_absolute_error, mean_squared_error
from tests.compiled import compiled, grad, value_and_grad

half_mean_squared_error = compiled(half_mean_squared_error)
huber = compiled(huber)
mean_absolute_error = compiled(mean_absolute_error)
mean_squared_error = compiled(mean_squared_error)

OUTPUTS = np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 0.0]])
TARGETS = np.array([[0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (mean_squared_error, [8.5, 4.625, 0.0]),
        (half_mean_squared_error, [4.25, 2.3125, 0.0]),
        (mean_absolute_error, [2.5, 1.75, 0.0]),
        (huber, [2.0, 1.3125, 0.0]),  # (½ + 3½)/2 and (⅛ + 2½)/2
    ],
)
def test_values_by_hand(loss, expected):
    assert loss(OUTPUTS, TARGETS).tolist() == expected


def test_every_feature_axis_is_averaged():
    outputs = jnp.arange(24.0).reshape(2, 3, 4)
    expected = (np.arange(24.0).reshape(2, 12) ** 2).mean(axis=1)
    np.testing.assert_allclose(mean_squared_error(outputs, jnp.zeros_like(outputs)), expected)
    assert mean_squared_error(jnp.array([2.0, 3.0]), jnp.array([0.0, 0.0])).tolist() == [4.0, 9.0]


def test_integers_are_compared_as_floats():
    assert half_mean_squared_error(np.array([1, 2]), np.array([0, 0])).tolist() == [0.5, 2.0]


def test_gradients_by_hand():
    def slopes(loss, **numbers):
        return grad(lambda o: jnp.sum(loss(o, jnp.zeros(4), **numbers)))(
            jnp.array([-3.0, -0.5, 0.0, 2.0])
        ).tolist()

    assert slopes(mean_squared_error) == [-6.0, -1.0, 0.0, 4.0]
    assert slopes(half_mean_squared_error) == [-3.0, -0.5, 0.0, 2.0]
    assert slopes(mean_absolute_error) == [-1.0, -1.0, 0.0, 1.0]
    assert slopes(huber, delta=2.0) == [-2.0, -0.5, 0.0, 2.0]


def test_huber_of_infinite_delta_is_the_half_squared_error():
    outputs, targets = jnp.asarray(OUTPUTS), jnp.asarray(TARGETS)
    limit, slope = value_and_grad(lambda o: jnp.sum(huber(o, targets, delta=jnp.inf)))(outputs)
    expected = value_and_grad(lambda o: jnp.sum(half_mean_squared_error(o, targets)))(outputs)
    assert limit == expected[0]
    np.testing.assert_array_equal(slope, expected[1])


def test_huber_over_a_small_delta_is_the_absolute_error():
    values = huber(OUTPUTS, TARGETS, delta=1e-6) / 1e-6
    np.testing.assert_allclose(values, mean_absolute_error(OUTPUTS, TARGETS), atol=1e-5)


LOSSES_OF_ERRORS = {
    mean_squared_error: lambda e: np.mean(e**2, axis=1),
    half_mean_squared_error: lambda e: 0.5 * np.mean(e**2, axis=1),
    mean_absolute_error: lambda e: np.mean(np.abs(e), axis=1),
    huber: lambda e: np.mean(np.where(np.abs(e) <= 1, e**2 / 2, np.abs(e) - 0.5), axis=1),
}


@pytest.mark.parametrize("loss", LOSSES_OF_ERRORS, ids=lambda loss: loss.__name__)
def test_values_that_can_be_represented_are_right_and_all_gradients(loss):
    """Their sums, or single squares, may be beyond the range of float32; gradients are within it."""
    many = np.zeros((6, 1024))
    many[0] = 1.5e19  # squares of 2e38, their sum above the range
    many[1, 0] = 3e20  # one square above the range, their mean within
    many[2, 1] = 2e-18
    many[3] = 3e-19  # squares just above the least number: divided by 1,024 they would be lost
    many[4, :2] = 1e-30, 1e12
    many[5] = 1e30
    expected = LOSSES_OF_ERRORS[loss](many)
    fits = (expected < 3e38) & (expected > 1e-37)
    outputs = jnp.asarray(many, jnp.float32)
    values = loss(outputs, jnp.zeros_like(outputs))
    np.testing.assert_allclose(np.asarray(values)[fits], expected[fits], rtol=1e-5)
    assert fits.sum() >= 3
    slopes = jax.vjp(lambda o: loss(o, jnp.zeros_like(o)), outputs)[1](jnp.ones(6))[0]
    by_hand = {
        mean_squared_error: 2 * many, half_mean_squared_error: many,
        mean_absolute_error: np.sign(many), huber: np.clip(many, -1, 1),
    }[loss] / 1024  # fmt: skip
    np.testing.assert_allclose(slopes, by_hand, rtol=1e-5, atol=1e-37)

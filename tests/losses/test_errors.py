"""Squared, absolute and Huber's error: values by hand and the limits between them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.losses import half_mean_squared_error, huber, mean_absolute_error, mean_squared_error

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
        return jax.grad(lambda o: jnp.sum(loss(o, jnp.zeros(4), **numbers)))(
            jnp.array([-3.0, -0.5, 0.0, 2.0])
        ).tolist()

    assert slopes(mean_squared_error) == [-6.0, -1.0, 0.0, 4.0]
    assert slopes(half_mean_squared_error) == [-3.0, -0.5, 0.0, 2.0]
    assert slopes(mean_absolute_error) == [-1.0, -1.0, 0.0, 1.0]
    assert slopes(huber, delta=2.0) == [-2.0, -0.5, 0.0, 2.0]


def test_huber_of_infinite_delta_is_the_half_squared_error():
    outputs, targets = jnp.asarray(OUTPUTS), jnp.asarray(TARGETS)
    limit, slope = jax.value_and_grad(lambda o: jnp.sum(huber(o, targets, delta=jnp.inf)))(outputs)
    expected = jax.value_and_grad(lambda o: jnp.sum(half_mean_squared_error(o, targets)))(outputs)
    assert limit == expected[0]
    np.testing.assert_array_equal(slope, expected[1])


def test_huber_over_a_small_delta_is_the_absolute_error():
    values = huber(OUTPUTS, TARGETS, delta=1e-6) / 1e-6
    np.testing.assert_allclose(values, mean_absolute_error(OUTPUTS, TARGETS), atol=1e-5)

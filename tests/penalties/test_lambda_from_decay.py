"""The penalty that a multiplicative decay amounts to, step by step on a quadratic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.penalties import l2, lambda_from_decay
from tests.compiled import grad

THETA = jnp.array([1.0, -2.0])


def loss(theta):
    return jnp.sum(jnp.cos(theta)) + theta[0] * theta[1]


def penalised_step(theta, rate, strength):
    return theta - rate * grad(lambda t: loss(t) + l2(strength, mask=None)(t))(theta)


@pytest.mark.notes("S3-34")
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("rate", [0.1, 1.0])
def test_both_places_of_the_decay(rate):
    w, theta = 0.9, THETA.astype(jnp.float64)
    slope = grad(loss)(theta)
    before = w * theta - rate * slope
    np.testing.assert_allclose(penalised_step(theta, rate, lambda_from_decay(w, rate)), before, rtol=1e-13)
    after = w * (theta - rate * slope)
    strength = lambda_from_decay(w, rate, after_step=True)
    np.testing.assert_allclose(penalised_step(theta, w * rate, strength), after, rtol=1e-13)


@pytest.mark.notes("S3-34")
@pytest.mark.usefixtures("x64")
def test_the_penalty_of_the_notes_holds_only_for_a_rate_of_one():
    w, theta = 0.9, THETA.astype(jnp.float64)
    for rate, holds in [(1.0, True), (0.1, False)]:
        step = penalised_step(theta, rate, 1 - w)
        assert np.allclose(step, w * theta - rate * grad(loss)(theta), rtol=1e-12) == holds


def test_numbers_can_be_traced_and_are_checked():
    strengths = jax.vmap(lambda_from_decay, in_axes=(0, None))(jnp.array([1.0, 0.5]), 0.1)
    np.testing.assert_allclose(strengths, [0.0, 5.0], rtol=1e-6)
    with pytest.raises(ValueError, match=r"lambda_from_decay\(decay\) is 0, expected a number in \(0, 1\]"):
        lambda_from_decay(0.0, 0.1)
    with pytest.raises(ValueError, match=r"lambda_from_decay\(learning_rate\) is 0"):
        lambda_from_decay(0.5, 0.0)

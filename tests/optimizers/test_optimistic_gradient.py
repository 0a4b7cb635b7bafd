"""Optimistic gradient descent: the formula, and the game that plain descent loses."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import optimistic_gradient, sgd
from tests.optimizers.runs import (
    RATES,
    assert_follows,
    descend,
    falling_rate,
    follow,
    random_grads,
    random_params,
)


def reference(theta, grads, rates, alpha, beta):
    previous = grads[0]
    for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        theta = theta - eta * ((alpha + beta) * g - beta * previous)
        previous = g
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.7, 0.4)])
def test_golden(rate, rates, alpha, beta, x64):
    assert_follows(optimistic_gradient(rate, alpha, beta), lambda p, g: reference(p, g, rates, alpha, beta))


def test_without_optimism_it_is_gradient_descent(x64):
    found, _ = follow(optimistic_gradient(0.1, beta=0.0), random_params(), random_grads())
    expected, _ = follow(sgd(0.1), random_params(), random_grads())
    for name, path in expected.items():
        np.testing.assert_allclose(found[name], path, rtol=1e-14)


def game(point):
    """min over x, max over y of x·y, as a field to descend along."""
    return jnp.stack([point[1], -point[0]])


def distances(optimizer, steps):
    points, _ = descend(optimizer, game, jnp.array([1.0, 0.5]), steps)
    return np.linalg.norm(points, axis=1)


def test_it_converges_in_a_game_in_which_descent_runs_away(x64):
    """Descent multiplies the distance by √(1 + η²) a step. For optimism at η below 1/√3 it is, in the plane
    of complex numbers, the recurrence zₜ₊₁ = zₜ + iη·(2zₜ − zₜ₋₁), whose largest root is less than 1."""
    eta = 0.3
    plain = distances(sgd(eta), 50)
    np.testing.assert_allclose(plain[1:] / plain[:-1], np.sqrt(1 + eta**2), rtol=1e-12)
    optimistic = distances(optimistic_gradient(eta), 400)
    rate = max(abs(np.roots([1, -1 - 2j * eta, 1j * eta])))
    assert rate < 1
    np.testing.assert_allclose((optimistic[400] / optimistic[300]) ** 0.01, rate, rtol=1e-6)
    for eta, converges in ((0.57, True), (0.59, False)):
        assert (max(abs(np.roots([1, -1 - 2j * eta, 1j * eta]))) < 1) == converges
        assert (distances(optimistic_gradient(eta), 3000)[-1] < 1) == converges


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"optimistic_gradient\(beta\) is -1, .*: 0 is sgd"):
        optimistic_gradient(beta=-1.0)

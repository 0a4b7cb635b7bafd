"""Fromage: the formula, and that a step across the weights keeps their length."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.fromage import fromage
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow


def reference(theta, grads, rates, least):
    for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        ratio = max(np.linalg.norm(theta), least) / max(np.linalg.norm(g), least)
        theta = (theta - eta * ratio * g) / np.sqrt(1 + eta**2)
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize("least", [0.0, 1e-6, 0.5])
def test_golden(rate, rates, least, x64):
    assert_follows(fromage(rate, least), lambda p, g: reference(p, g, rates, least))


def test_a_gradient_across_the_weights_turns_them(x64):
    """By arctan(η) a step, at constant length: the gradient is always 90° to the left."""
    theta, optimizer = np.array([2.0, 0.0]), fromage(0.3)
    for t in range(1, 6):
        updates, _ = optimizer.update(np.array([-theta[1], theta[0]]), optimizer.init(theta), theta)
        theta = theta + np.asarray(updates)
        angle = -t * np.arctan(0.3)
        np.testing.assert_allclose(theta, 2 * np.array([np.cos(angle), np.sin(angle)]), rtol=1e-12)


def test_a_tiny_rate_is_not_lost_in_single_precision():
    """The shrinking factor is 1 − η²/2; as the difference of 1 and a root it would be 0 in float32."""
    optimizer, theta = fromage(1e-4), jnp.array([1.0])
    updates, _ = optimizer.update(jnp.zeros(1), optimizer.init(theta), theta)
    np.testing.assert_allclose(updates, -0.5e-8, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_the_size_of_the_gradient_does_not_matter(size, x64):
    theta = np.array([3.0, 4.0], np.float32)
    path, _ = follow(fromage(0.1, 0.0), theta, size * np.array([[0.8, 0.6]], np.float32))
    np.testing.assert_allclose(path[0], (theta - [0.4, 0.3]) / np.sqrt(1.01), rtol=1e-6)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"fromage\(min_norm\) is -1, expected a number in \[0, inf\)"):
        fromage(min_norm=-1.0)
    with pytest.raises(ValueError, match="fromage needs the parameters"):
        fromage().update(jnp.ones(2), fromage().init(jnp.ones(2)))

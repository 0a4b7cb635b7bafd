"""LAMB: the formula, and that a leaf moves by a share of its own length."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.lamb import lamb
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow, random_grads, random_params


def reference(theta, grads, rates, b1, b2, eps, decay):
    m = v = np.zeros_like(theta)
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        u = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * theta
        theta = theta - eta * np.linalg.norm(theta) / np.linalg.norm(u) * u
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_golden(rate, rates, decay, x64):
    """The bias is not decayed, and has a trust ratio all the same."""
    assert_follows(
        lamb(rate, 0.8, 0.95, 1e-3, weight_decay=decay),
        lambda p, g: reference(p, g, rates, 0.8, 0.95, 1e-3, decay),
        bias=lambda p, g: reference(p, g, rates, 0.8, 0.95, 1e-3, 0.0),
    )


def test_every_leaf_moves_by_the_rate_times_its_length(x64):
    """However small its gradient, and however large its weight decay."""
    params, grads = random_params(), random_grads()
    path, _ = follow(lamb(0.1, weight_decay=5.0, mask=None), params, grads)
    for name, points in path.items():
        points = np.concatenate([params[name][None], points]).reshape(len(points) + 1, -1)
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        np.testing.assert_allclose(steps, 0.1 * np.linalg.norm(points[:-1], axis=1), rtol=1e-12)


@pytest.mark.parametrize("zero", ["params", "grads"])
def test_where_a_norm_is_zero_the_ratio_is_one(zero):
    """Weights that start at 0 take Adam's step; without a gradient nothing moves."""
    params = jnp.full(3, 0.0 if zero == "params" else 2.0)
    grads = jnp.full(3, 0.0 if zero == "grads" else 2.0)
    optimizer = lamb(0.1)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose(updates, -0.1 if zero == "params" else 0.0, rtol=1e-5)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"lamb\(b1\) is 1, expected a number in \[0, 1\)"):
        lamb(b1=1.0)
    with pytest.raises(ValueError, match="lamb needs the parameters"):
        lamb().update(jnp.ones(2), lamb().init(jnp.ones(2)))


def test_eps_root_is_inside_the_root(x64):
    """One step from v̂ = g²: u = g/√(g² + eps_root), and θ − η·(‖θ‖/‖u‖)·u."""
    theta, g = np.array([1.0, -2.0]), np.array([0.3, 0.4])
    optimizer = lamb(0.1, eps=0.0, eps_root=0.5, weight_decay=0.0)
    found, _ = optimizer.update(jnp.asarray(g), optimizer.init(jnp.asarray(theta)), jnp.asarray(theta))
    u = g / np.sqrt(g**2 + 0.5)
    np.testing.assert_allclose(found, -0.1 * np.linalg.norm(theta) / np.linalg.norm(u) * u, rtol=1e-12)

"""Sharpness-aware minimization: where the gradient is taken, and the flat minimum it prefers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.optimizers import adam, apply_updates, sam, sgd
from tests.optimizers.runs import random_params

CURVATURES = {"kernel": np.linspace(1.0, 2.0, 6).reshape(3, 2), "bias": np.array([0.5, 3.0, 1.0])}


def loss(params):
    return sum(jnp.sum(CURVATURES[name] * (x**2 + x**4)) for name, x in params.items())


def slope(params):
    return {name: CURVATURES[name] * (2 * x + 4 * x**3) for name, x in params.items()}


def follow(optimizer, start, steps, **given):
    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params, **given)
        params = apply_updates(params, updates)
        return (params, state), params

    start = jax.tree.map(jnp.asarray, start)
    return jax.jit(lambda s: lax.scan(step, (s, optimizer.init(s)), length=steps)[1])(start)


@pytest.mark.parametrize("adaptive", [False, True])
def test_golden(adaptive, x64):
    """The norm is that of all leaves together."""
    rho, rate, theta = 0.3, 0.01, random_params()
    found = follow(sam(sgd(rate), rho, adaptive=adaptive), theta, 8, value_fn=loss)
    for t in range(8):
        g = slope(theta)
        scale = {name: np.abs(x) if adaptive else np.ones_like(x) for name, x in theta.items()}
        norm = np.sqrt(sum(((scale[name] * g[name]) ** 2).sum() for name in g))
        there = {name: theta[name] + rho * scale[name] ** 2 * g[name] / norm for name in g}
        theta = {name: theta[name] - rate * slope(there)[name] for name in g}
        for name, x in theta.items():
            np.testing.assert_allclose(found[name][t], x, rtol=1e-12)


def test_a_gradient_function_is_as_good_as_the_loss(x64):
    found = follow(sam(adam(0.1), 0.2), random_params(), 5, grad_fn=lambda p, i: jax.grad(loss)(p))
    expected = follow(sam(adam(0.1), 0.2), random_params(), 5, value_fn=loss)
    for name, path in expected.items():
        np.testing.assert_allclose(found[name], path, rtol=1e-12)


def test_a_ball_of_radius_zero_is_the_optimizer_alone(x64):
    found = follow(sam(adam(0.1), 0.0), random_params(), 5, value_fn=loss)
    expected = follow(adam(0.1), random_params(), 5)
    for name, path in expected.items():
        np.testing.assert_allclose(found[name], path, rtol=1e-12)


def test_among_equal_minima_it_moves_to_the_flattest(x64):
    """½(x·y − 1)² is 0 on a whole curve, of curvature x² + y² ≥ 2; descent stays where it first meets it."""

    def valley(point):
        return (point[0] * point[1] - 1) ** 2 / 2

    def end(optimizer, **given):
        def step(carry, _):
            x, state = carry
            updates, state = optimizer.update(jax.grad(valley)(x), state, x, **given)
            return (x + updates, state), None

        x = jnp.array([3.0, 0.2])
        return np.asarray(lax.scan(step, (x, optimizer.init(x)), length=5000)[0][0])

    stayed, moved = end(sgd(0.02)), end(sam(sgd(0.02), 0.2), value_fn=valley)
    assert (stayed**2).sum() > 8
    assert (moved**2).sum() < 2.1
    np.testing.assert_allclose(moved.prod(), 1, atol=0.1)


def test_further_arguments_reach_the_loss(x64):
    optimizer, x = sam(sgd(1.0), 0.0), jnp.array([1.0, 2.0])
    scaled = lambda x, factor: factor * jnp.sum(x**2)  # noqa: E731
    updates, _ = optimizer.update(6 * x, optimizer.init(x), x, value_fn=scaled, factor=3.0)
    np.testing.assert_allclose(updates, -6 * x)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"sam\(rho\) is -1, .*: 0 is the optimizer alone"):
        sam(sgd(), -1.0)
    with pytest.raises(ValueError, match="sam needs value_fn, but it is None"):
        sam(sgd()).update(jnp.ones(2), sam(sgd()).init(jnp.ones(2)), jnp.ones(2))

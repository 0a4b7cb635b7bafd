"""Polyak's step: the formula, Fejér monotony, exact steps, and norms that have no square."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.optimizers import apply_updates, polyak_sgd
from jaxopt_notes.optimizers.polyak_sgd import polyak_step
from tests.optimizers.runs import falling_rate, random_grads, random_params


def follow(optimizer, values, params, grads):
    def step(carry, given):
        value, g = given
        updates, state = optimizer.update(g, carry[1], carry[0], value=value)
        params = apply_updates(carry[0], updates)
        return (params, state), params

    return jax.jit(lambda v, g: lax.scan(step, (params, optimizer.init(params)), (v, g))[1])(values, grads)


@pytest.mark.parametrize("variant", ["sps", "sps+"])
def test_golden(variant, x64):
    """The norm is that of all leaves; some losses are below f_min."""
    params, grads = random_params(), random_grads()
    values = np.random.default_rng(2).normal(size=12)
    optimizer = polyak_sgd(0.2, falling_rate, f_min=0.1, eps=0.3, variant=variant)
    found = follow(optimizer, jnp.asarray(values), jax.tree.map(jnp.asarray, params), grads)
    for t in range(12):
        g = {name: leaf[t] for name, leaf in grads.items()}
        gap = values[t] - 0.1 if variant == "sps" else max(values[t] - 0.1, 0.0)
        step = 0.1 / (1 + t) * min(gap / (sum((leaf**2).sum() for leaf in g.values()) + 0.3), 0.2)
        params = {name: params[name] - step * g[name] for name in params}
        for name, leaf in params.items():
            np.testing.assert_allclose(found[name][t], leaf, rtol=1e-12)


def run(optimizer, loss, x, steps):
    def step(carry, _):
        value, g = jax.value_and_grad(loss)(carry[0])
        updates, state = optimizer.update(g, carry[1], carry[0], value=value)
        return (carry[0] + updates, state), carry[0]

    return lax.scan(step, (x, optimizer.init(x)), length=steps)[1]


def test_every_step_leads_nearer_to_the_solution_of_a_convex_loss(x64):
    """By the square of its length, at least: also where the loss has corners."""
    slopes = jnp.array([[1.0, 3.0], [-2.0, 0.5], [0.3, -1.0]])
    points = run(polyak_sgd(jnp.inf), lambda x: jnp.max(jnp.abs(slopes @ x)), jnp.array([2.0, -1.0]), 40)
    squares = np.sum(np.asarray(points) ** 2, axis=1)
    lengths = np.sum(np.diff(points, axis=0) ** 2, axis=1)
    assert (squares[1:] <= squares[:-1] - lengths + 1e-12).all()
    assert squares[-1] < 1e-2 * squares[0]


def test_twice_the_step_is_exact_on_a_round_parabola(x64):
    points = run(
        polyak_sgd(jnp.inf, 2.0, f_min=1.0), lambda x: 1 + 3 * jnp.sum(x**2), jnp.array([2.0, -1.0]), 2
    )
    np.testing.assert_allclose(points[1], 0, atol=1e-15)


def test_slopes_whose_square_is_no_number_of_float32():
    for gap, norm in ((2e25, 1e25), (2e-25, 1e-25)):
        np.testing.assert_allclose(float(polyak_step(gap, norm)) * norm, 2.0, rtol=1e-6)
    optimizer, x = polyak_sgd(1e38), jnp.full(4, 1e-20)
    updates, _ = optimizer.update(x, optimizer.init(x), x, value=jnp.float32(2e-40 * 0 + 2e-38))
    np.testing.assert_allclose(updates, -0.5e2 * np.full(4, 1e-20), rtol=1e-5)


def test_the_loss_may_be_given_as_a_function():
    optimizer, x = polyak_sgd(), jnp.array([3.0, 4.0])
    loss = lambda x: jnp.sum(x**2)  # noqa: E731
    found, _ = optimizer.update(2 * x, optimizer.init(x), x, value_fn=loss)
    expected, _ = optimizer.update(2 * x, optimizer.init(x), x, value=loss(x))
    np.testing.assert_array_equal(found, expected)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"polyak_sgd\(variant\) is 'x', expected one of 'sps', 'sps\+'"):
        polyak_sgd(variant="x")
    with pytest.raises(ValueError, match="polyak_sgd needs value, the loss"):
        polyak_sgd().update(jnp.ones(2), polyak_sgd().init(jnp.ones(2)), jnp.ones(2))

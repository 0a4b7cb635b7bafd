"""The heavy ball: two iterates, the same path as momentum, and where it never arrives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from jaxopt_notes.optimizers.heavy_ball import heavy_ball
from jaxopt_notes.optimizers.momentum import momentum
from jaxopt_notes.optimizers.nesterov import nesterov
from jaxopt_notes.problems import elliptic_bowl, lessard
from tests.optimizers.runs import (
    RATES,
    assert_follows,
    descend,
    falling_rate,
    follow,
    random_grads,
    random_params,
)  # fmt: skip


def reference(x, grads, rates, beta):
    """x₊ = x − ηg + β(x − x₋₁) with x₋₁ = x₀."""
    before = x
    for g, rate in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        x, before = x - rate * g + beta * (x - before), x
        yield x


@pytest.mark.notes("S3-19")
@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize("beta", [0.0, 0.9])
def test_golden(beta, rate, rates, x64):
    assert_follows(heavy_ball(rate, beta), lambda p, g: reference(p, g, rates, beta))


@pytest.mark.notes("S3-19")
def test_is_momentum_with_the_rate_outside_at_a_constant_rate_only(x64):
    params, grads = random_params(), random_grads()

    def path(optimizer):
        return follow(optimizer, params, grads)[0]["kernel"]

    outside = path(momentum(0.1, 0.9, rate_outside=True))
    np.testing.assert_allclose(path(heavy_ball(0.1, 0.9)), outside, rtol=1e-12)
    falling = path(heavy_ball(falling_rate, 0.9))
    assert abs(falling - path(momentum(falling_rate, 0.9, rate_outside=True))).max() > 0.1


@pytest.mark.notes("S3-19")
def test_rate_of_convergence_on_the_elliptic_bowl(x64):
    """For curvatures 0.2 and 2 at η = 0.1 every mode shrinks by √β = 0.948683 a step."""
    optimizer = heavy_ball(0.1, 0.9)
    start = jnp.zeros(2)

    def step(pair):
        x, before = pair
        state = optimizer.init(x)._replace(velocity=before - x)
        updates, state = optimizer.update(jax.grad(elliptic_bowl())(x), state, x)
        new = apply_updates(x, updates)
        return jnp.concatenate([new, new + state.velocity])

    matrix = np.concatenate(jax.jit(jax.jacobian(step))((start, start)), axis=1)
    np.testing.assert_allclose(abs(np.linalg.eigvals(matrix)), 0.948683, atol=5e-7)


@pytest.mark.notes("S3-20")
def test_goes_round_where_nesterov_converges(x64):
    """Lessard, Recht & Packard 2016: η = 1/9, β = 4/9 from 3.3 ends in a cycle of three."""
    slope = jax.grad(lessard())
    path, _ = descend(heavy_ball(1 / 9, 4 / 9), slope, jnp.array(3.3), 300)
    cycle = np.sort([-1.802449, 0.646531, 2.115918])
    for end in (299, 300, 301):
        np.testing.assert_allclose(np.sort(path[end - 3 : end]), cycle, atol=5e-7)
    path, _ = descend(nesterov(1 / 25, 2 / 3), slope, jnp.array(3.3), 300)
    np.testing.assert_allclose(path[-1], 0, atol=1e-12)

"""A constant rate has a floor of noise and lingers at saddles; one that falls, or rises, does better."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes as jn


def path(rate, gradient, start, noise):
    optimizer = jn.sgd(rate)

    def step(carry, xi):
        x, state = carry
        updates, state = optimizer.update(gradient(x) + xi, state, x)
        x = jn.apply_updates(x, updates)
        return (x, state), x

    return lax.scan(step, (start, optimizer.init(start)), noise)[1]


@pytest.mark.full
@pytest.mark.notes("S4-14")
def test_a_constant_rate_stops_at_a_floor_and_a_falling_one_does_not():
    """Of ½x² with unit noise: E x² = η/(2 − η) for ever; with η = 1/(1 + t) it is 1/t."""
    noise = jnp.asarray(np.random.default_rng(0).normal(size=(400, 4096)), jnp.float32)
    start = jnp.full(4096, 3.0)
    constant = np.mean(np.square(path(0.2, lambda x: x, start, noise)), axis=1)
    falling = np.mean(np.square(path(jn.inverse_time(1.0, 1.0), lambda x: x, start, noise)), axis=1)
    np.testing.assert_allclose(constant[[99, 199, 399]], 0.2 / 1.8, rtol=0.1)
    np.testing.assert_allclose(falling[[99, 199, 399]], 1 / np.array([100, 200, 400]), rtol=0.1)


@pytest.mark.notes("S4-14")
def test_a_rate_that_rises_leaves_a_saddle_sooner():
    """Of ½x² − ½y² from y = 1e-6: away from the saddle by (1 + η) a step."""
    start, nothing = jnp.array([1.0, 1e-6]), jnp.zeros((300, 2))
    signs = jnp.array([1.0, -1.0])

    def escape(rate):
        return int(jnp.argmax(jnp.abs(path(rate, lambda x: signs * x, start, nothing)[:, 1]) > 1))

    constant, cyclic = escape(0.05), escape(jn.schedules.triangular(0.05, 0.5, 20.0))
    assert constant + 1 == np.ceil(6 * np.log(10) / np.log(1.05))
    assert 0 < cyclic < constant / 3

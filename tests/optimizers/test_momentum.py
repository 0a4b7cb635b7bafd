"""Momentum: both placements of the rate, the notes' expansions, and what memory does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.optimizers.momentum import momentum
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.problems import double_well
from tests.optimizers.runs import RATES, assert_follows, descend, falling_rate, follow, random_grads


def reference(theta, grads, rates, alpha, rate_outside):
    """(1) v ← αv + ηg, (2) θ ← θ − v; with the rate outside v ← αv + g, θ ← θ − ηv."""
    v = np.zeros_like(theta)
    for g, rate in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        v = alpha * v + (g if rate_outside else rate * g)
        theta = theta - (rate * v if rate_outside else v)
        yield theta


def run(optimizer, grads):
    """The path of one parameter from 0, and the states, under given gradients."""
    return follow(optimizer, jnp.zeros(np.shape(grads)[1:]), jnp.asarray(grads))


@pytest.mark.notes("S2-27", "S1-62", "S3-28")
@pytest.mark.parametrize("rate_outside", [False, True])
@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.99])
def test_golden(alpha, rate, rates, rate_outside, x64):
    assert_follows(
        momentum(rate, alpha, rate_outside=rate_outside),
        lambda p, g: reference(p, g, rates, alpha, rate_outside),
    )


@pytest.mark.notes("S2-28")
def test_goodfellows_form_is_the_same_bit_for_bit(x64):
    """(3) v ← αv − ηg, (4) θ ← θ + v: the same path, and the velocity with the other sign."""
    grads = jnp.asarray(random_grads()["kernel"])
    rate, alpha = jnp.asarray(0.1), jnp.asarray(0.9)

    @jax.jit
    def goodfellow(rate, alpha):
        def step(carry, g):
            theta, v = carry
            v = alpha * v - rate * g
            return (theta + v, v), (theta + v, v)

        return lax.scan(step, (jnp.zeros(grads.shape[1:]),) * 2, grads)[1]

    path, states = run(momentum(rate, alpha), grads)
    expected, velocity = goodfellow(rate, alpha)
    np.testing.assert_array_equal(path, expected)
    np.testing.assert_array_equal(states.velocity, -velocity)


@pytest.mark.notes("S2-29", "S2-30")
@pytest.mark.parametrize("rate_outside", [False, True])
def test_hand_expansion(rate_outside, x64):
    """W₃ = W₂ − α²η·dW₀ − αη·dW₁ − η·dW₂ for any gradients: a weighted sum of the history."""
    g0, g1, g2 = 0.3, -1.7, 2.2
    path, _ = run(momentum(0.1, 0.9, rate_outside=rate_outside), np.array([g0, g1, g2]))
    np.testing.assert_allclose(path[0], -0.1 * g0, rtol=1e-14)
    np.testing.assert_allclose(path[1] - path[0], -0.9 * 0.1 * g0 - 0.1 * g1, rtol=1e-14)
    np.testing.assert_allclose(path[2] - path[1], -0.81 * 0.1 * g0 - 0.9 * 0.1 * g1 - 0.1 * g2, rtol=1e-14)


@pytest.mark.notes("S2-30", "S2-31")
@pytest.mark.parametrize(("sign", "limit"), [(1.0, 10.0), (-1.0, 1 / 1.9)])
def test_consistent_gradients_are_amplified_opposite_ones_damped(sign, limit, x64):
    """v → ηg/(1 − α) for a constant gradient (a sum, of total weight 10), ηg/(1 + α) for ±g."""
    g = 2.0 * sign ** np.arange(400)
    _, states = run(momentum(0.1, 0.9), g)
    np.testing.assert_allclose(states.velocity[-1], 0.1 * g[-1] * limit, rtol=1e-12)


@pytest.mark.notes("S2-31")
def test_momentum_leaves_a_shallow_valley(x64):
    """Down the same slope at the same rate: SGD stays in the first valley, momentum rolls through."""
    slope = jax.grad(double_well(tilt=0.3))
    shallow = float(descend(sgd(0.01), slope, jnp.array(1.8), 2000)[0][-1])
    deep = float(descend(momentum(0.01, 0.9), slope, jnp.array(1.8), 2000)[0][-1])
    wells = np.sort(np.roots([4, 0, -4, 0.3]).real)[[0, 2]]
    np.testing.assert_allclose([deep, shallow], wells, rtol=1e-9)


@pytest.mark.notes("S2-31")
def test_momentum_reduces_noise(x64):
    """Per unit of progress (steps of mean 1) noisy gradients jitter less: by √((1 − α)/(1 + α))."""
    noise = np.random.default_rng(0).normal(size=(300, 2000))
    path, _ = run(momentum(0.1, 0.9), 1 + noise)
    steps = np.diff(path, axis=0)[-1]
    np.testing.assert_allclose(steps.mean(), -1, rtol=0.05)
    np.testing.assert_allclose(steps.std(), np.sqrt(0.1 / 1.9), rtol=0.1)


@pytest.mark.notes("S2-32")
def test_the_step_is_inertia_plus_gradient(x64):
    """Figure 15-6: −αv, where the last step was leading, and −ηg add up to the update."""
    grads = random_grads(steps=2)["bias"]
    path, states = run(momentum(0.2, 0.7), grads)
    inertia, pull = 0.7 * (path[0] - 0), -0.2 * grads[1]
    np.testing.assert_allclose(path[1] - path[0], inertia + pull, rtol=1e-13)
    np.testing.assert_allclose(inertia, -0.7 * states.velocity[0], rtol=1e-13)


@pytest.mark.notes("S1-62")
def test_placements_of_the_rate_differ_under_a_schedule(x64):
    """The rate inside belongs to the gradient it came with; outside, it scales the whole past."""
    g = np.array([1.0, -0.5, 2.0])
    inside, _ = run(momentum(0.1, 0.9), g)
    outside, _ = run(momentum(0.1, 0.9, rate_outside=True), g)
    np.testing.assert_allclose(inside, outside, rtol=1e-13)

    (inside, _), (outside, _) = (
        run(momentum(falling_rate, 0.9, rate_outside=where), g) for where in (False, True)
    )
    r0, r1 = RATES[:2]
    np.testing.assert_allclose(inside[1] - inside[0], -(0.9 * r0 * g[0] + r1 * g[1]), rtol=1e-13)
    np.testing.assert_allclose(outside[1] - outside[0], -r1 * (0.9 * g[0] + g[1]), rtol=1e-13)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, np.nan])
def test_wrong_momentum_is_named(wrong):
    with pytest.raises(ValueError, match=r"momentum\(momentum\) is .*expected a number in \[0, 1\]"):
        momentum(0.1, wrong)

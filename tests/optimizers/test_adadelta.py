"""AdaDelta: the formula, its first step, and that it asks for no rate."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adadelta import adadelta
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow


def run(optimizer, grads):
    return follow(optimizer, jnp.zeros(np.shape(grads)[1:]), jnp.asarray(grads))


def reference(theta, grads, rates, rho, eps):
    """s ← ρs + (1 − ρ)g²; Δ = √((r + ε)/(s + ε))·g; θ ← θ − ηΔ; r ← ρr + (1 − ρ)Δ²."""
    s = r = np.zeros_like(theta)
    for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        s = rho * s + (1 - rho) * g**2
        delta = np.sqrt((r + eps) / (s + eps)) * g
        theta = theta - eta * delta
        r = rho * r + (1 - rho) * delta**2
        yield theta


@pytest.mark.notes("S2-42")
@pytest.mark.parametrize(("rate", "rates"), [(1.0, 1.0), (0.3, 0.3), (falling_rate, RATES)])
@pytest.mark.parametrize(("rho", "eps"), [(0.9, 1e-5), (0.95, 1e-6)])
def test_golden(rho, eps, rate, rates, x64):
    assert_follows(adadelta(rate, rho, eps), lambda p, g: reference(p, g, rates, rho, eps))


@pytest.mark.notes("S2-43")
def test_the_default_has_no_rate(x64):
    """Without arguments it is the formula of the paper, which knows no η: a rate of 1."""
    assert_follows(adadelta(), lambda p, g: reference(p, g, 1.0, 0.9, 1e-5))
    assert inspect.signature(adadelta).parameters["learning_rate"].default == 1.0


@pytest.mark.notes("S2-43")
def test_steps_are_in_units_of_the_parameters(x64):
    """Scaling the loss, as a rate scales the step of SGD, leaves the path as it is (for small ε)."""
    grads = np.random.default_rng(0).normal(size=(30, 4))
    small, _ = run(adadelta(eps=1e-9), grads)
    large, _ = run(adadelta(eps=1e-9), 1000 * grads)
    np.testing.assert_allclose(small, large, rtol=1e-4)


@pytest.mark.notes("S2-42")
def test_first_step(x64):
    """√(ε/(1 − α)) = 0.01 for gradients of any size."""
    path, _ = run(adadelta(), np.array([[5.0, -0.7, 300.0]]))
    np.testing.assert_allclose(path[0], [-0.01, 0.01, -0.01], rtol=2e-4)


@pytest.mark.notes("S2-44")
def test_average_of_a_constant_is_the_constant_times_what_was_seen(x64):
    """The moving average of a constant c is c·(1 − αᵗ): a window of about 1/(1 − α) steps."""
    _, states = run(adadelta(rho=0.9), np.full(40, 3.0))
    np.testing.assert_allclose(states.squared_gradients, 9 * (1 - 0.9 ** np.arange(1, 41)), rtol=1e-12)
    seen = states.squared_gradients / 9
    assert seen[9] == pytest.approx(1 - 1 / np.e, abs=0.02)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"adadelta\(rho\) is 1, expected a number in \[0, 1\)"):
        adadelta(rho=1.0)

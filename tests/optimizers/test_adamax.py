"""Adamax and AdamaxW: the formula, the bound of a step, and decay that the norm never sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adamax import adamax, adamaxw
from tests.optimizers.runs import (
    RATES,
    STEPS,
    assert_follows,
    falling_rate,
    follow,
    random_params,
)


def reference(theta, grads, rates, b1=0.9, b2=0.999, eps=1e-8, decays=0.0):
    """Kingma & Ba 2015, algorithm 2, with ε added to |g|; and decoupled decay."""
    m = u = np.zeros_like(theta)
    rates, decays = (np.broadcast_to(values, len(grads)) for values in (rates, decays))
    for t, (g, eta, lam) in enumerate(zip(grads, rates, decays, strict=True), 1):
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, abs(g) + eps)
        theta = theta - eta / (1 - b1**t) * m / u - eta * lam * theta
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize("numbers", [(0.9, 0.999, 1e-8), (0.0, 0.5, 1e-2), (0.8, 0.0, 0.0)])
def test_golden(numbers, rate, rates, x64):
    assert_follows(adamax(rate, *numbers), lambda p, g: reference(p, g, rates, *numbers), rtol=1e-11)


def test_defaults_are_the_papers(x64):
    assert_follows(adamax(), lambda p, g: reference(p, g, 2e-3), rtol=1e-11)


def test_no_step_is_longer_than_the_rate(x64):
    """Where b1 ≤ b2, whatever the gradients: |Δ| ≤ η, and η itself for a constant gradient."""
    grads = np.random.default_rng(0).standard_cauchy(size=(500, 20))
    path, _ = follow(adamax(0.1, 0.9, 0.99), jnp.zeros(20), grads)
    steps = abs(np.diff(path, axis=0))
    assert 0.05 < steps.max() <= 0.1
    path, _ = follow(adamax(0.1), jnp.zeros(2), np.tile([4.0, -0.02], (20, 1)))
    np.testing.assert_allclose(path, -0.1 * np.arange(1, 21)[:, None] * [1, -1], rtol=1e-6)


def test_the_norm_is_the_largest_gradient_as_it_fades(x64):
    """u = max over i of b2^(t−i)·|gᵢ|: the limit of the weighted p-norm that gives the method its name."""
    grads = np.random.default_rng(0).normal(size=30)
    _, states = follow(adamax(b2=0.9, eps=0.0), jnp.array(0.0), grads)
    for t in (1, 7, 30):
        faded = 0.9 ** np.arange(t - 1, -1, -1) * abs(grads[:t])
        assert float(states.nu[t - 1]) == pytest.approx(faded.max(), rel=1e-12)
        p_norm = np.sum(faded**200.0) ** (1 / 200)
        assert float(states.nu[t - 1]) == pytest.approx(p_norm, rel=0.02)


@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize(("decay", "decays"), [(0.3, 0.3), (falling_rate, RATES)])
def test_decay_golden(decay, decays, rate, rates, x64):
    """Weights decay, biases do not, unless the mask says so."""

    def decayed(p, g):
        return reference(p, g, rates, decays=decays)

    def plain(p, g):
        return reference(p, g, rates)

    assert_follows(adamaxw(rate, weight_decay=decay), decayed, 1e-11, bias=plain)
    assert_follows(adamaxw(rate, weight_decay=decay, mask=None), decayed, 1e-11)
    assert_follows(adamaxw(rate, weight_decay=0.0), plain, 1e-11)


def test_adamaxw_has_all_numbers_of_adamax(x64):
    found = adamaxw(0.07, 0.8, 0.5, 1e-2, weight_decay=0.3, mask=None)
    assert_follows(found, lambda p, g: reference(p, g, 0.07, 0.8, 0.5, 1e-2, 0.3), 1e-11)


def test_without_gradients_it_decays_by_a_fixed_share(x64):
    params = random_params()
    zeros = jax.tree.map(lambda p: np.zeros((STEPS, *p.shape)), params)
    path, _ = follow(adamaxw(0.1, weight_decay=0.5), params, zeros)
    for t in range(STEPS):
        np.testing.assert_allclose(path["kernel"][t], 0.95 ** (t + 1) * params["kernel"], rtol=1e-13)
        np.testing.assert_array_equal(path["bias"][t], params["bias"])


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"adamax\(b1\) is 1"):
        adamax(b1=1.0)
    with pytest.raises(ValueError, match=r"adamaxw\(weight_decay\) is -1"):
        adamaxw(weight_decay=-1.0)
    with pytest.raises(ValueError, match="adamaxw needs the parameters"):
        adamaxw().update(jnp.ones(2), adamaxw().init(jnp.ones(2)))

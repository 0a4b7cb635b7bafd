"""RAdam: momentum while the second moment is young, then Adam times a factor that rises to 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.radam import effective_length, radam, rectify
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow

every_length = jax.jit(jax.vmap(effective_length, (None, 0)))


def lengths(b2, t):
    """ρₜ as the paper writes it, in extended precision."""
    b2, t = np.longdouble(b2), np.asarray(t, np.longdouble)
    return 2 / (1 - b2) - 1 - 2 * t * b2**t / (1 - b2**t)


def reference(theta, grads, rates, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, threshold=5.0):
    """Liu et al. 2020, algorithm 2."""
    m = v = np.zeros_like(theta)
    end = 2 / (1 - b2) - 1
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, now = m / (1 - b1**t), float(lengths(b2, t))
        if now >= threshold:
            r = np.sqrt((now - 4) * (now - 2) * end / ((end - 4) * (end - 2) * now))
            theta = theta - eta * r * m_hat / (np.sqrt(v / (1 - b2**t) + eps_root) + eps)
        else:
            theta = theta - eta * m_hat
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize(
    "numbers",
    [
        (0.9, 0.999, 1e-8, 0.0, 5.0),
        (0.8, 0.9, 1e-3, 0.0, 4.0),
        (0.0, 0.8, 0.0, 1e-2, 6.0),
        (0.9, 0.5, 1e-8, 0.0, 5.0),  # ρ∞ = 3: never rectified
    ],
)
def test_golden(numbers, rate, rates, x64):
    assert_follows(radam(rate, *numbers), lambda p, g: reference(p, g, rates, *numbers), rtol=1e-10)


def test_defaults(x64):
    assert_follows(radam(), lambda p, g: reference(p, g, 1e-3), rtol=1e-10)


def test_the_first_five_steps_are_those_of_an_average_gradient(x64):
    """ρ₅ is just below 5 for b2 = 0.999, ρ₆ above it."""
    grads = np.full((6, 1), 3.0)
    path, _ = follow(radam(0.1), jnp.zeros(1), grads)
    steps = -np.diff(np.concatenate([[[0.0]], path]), axis=0)[:, 0]
    np.testing.assert_allclose(steps[:5], 0.3, rtol=1e-12)
    assert steps[5] < 0.01, "now it is divided by |g|, and the factor is small"


@pytest.mark.parametrize("b2", [0.5, 0.9, 0.99, 0.999, 0.9999])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_effective_length_is_exact_from_the_first_step_on(b2, precision):
    """Also in float32, where the difference as the paper writes it is off by 2 at b2 = 0.9999."""
    t = np.unique(np.geomspace(1, 1e6, 60).astype(int))
    with jax.enable_x64(precision == "float64"):
        b2 = float(np.asarray(b2, precision))
        found = every_length(b2, jnp.asarray(t))
    np.testing.assert_allclose(
        found, lengths(b2, t).astype(float), rtol=1e-10 if precision == "float64" else 2e-5
    )
    if precision == "float32" and b2 > 0.9998:
        b2, one, few = np.float32(b2), np.float32(1), np.arange(1, 7, dtype=np.float32)
        naive = 2 / (one - b2) - one - 2 * few * b2**few / (one - b2**few)
        assert naive.dtype == np.float32
        assert abs(naive - lengths(b2, few)).max() > 1


def test_effective_length_of_equal_weights_is_the_number_of_gradients(x64):
    """As b2 → 1 all gradients weigh the same, and ρₜ = 1 + 2·(t − 1)/2 = t."""
    t = jnp.arange(1, 20)
    np.testing.assert_allclose(every_length(1 - 1e-12, t), t, rtol=1e-9)


def test_gradient_of_the_effective_length(x64):
    """Through both branches, at every step; b2 = 0 and overflow of b2⁻ᵗ are no danger."""
    slope = jax.jit(jax.grad(effective_length))
    for b2, t in [(0.9, 1), (0.9, 3), (0.999, 50), (0.999, 500), (0.9, 100_000)]:
        h = 1e-6 * (1 - b2)
        expected = (lengths(b2 + h, t) - lengths(b2 - h, t)) / (2 * h)
        np.testing.assert_allclose(slope(b2, t), float(expected), rtol=1e-5, atol=1e-8)
    with jax.enable_x64(False):
        for b2, t in [(0.0, 1), (0.0, 5), (0.5, 1), (0.999, 2_000_000)]:
            assert np.isfinite(slope(b2, t))


def test_the_factor_rises_to_one(x64):
    """So a long run ends as Adam."""
    every_factor = jax.jit(jax.vmap(rectify, (None, 0, None)))
    adapted, factors = jax.device_get(every_factor(0.999, jnp.arange(6, 30_000), 5.0))
    assert adapted.all()
    assert (np.diff(factors[:5000]) > 0).all()
    assert factors[0] < 0.05
    assert factors[-1] == pytest.approx(1.0, abs=1e-3)
    grads = np.random.default_rng(0).normal(size=(3000, 2))
    rectified, _ = follow(radam(0.1, b2=0.9), jnp.zeros(2), grads)
    plain, _ = follow(adam(0.1, b2=0.9), jnp.zeros(2), grads)
    np.testing.assert_allclose(np.diff(rectified[-50:], axis=0), np.diff(plain[-50:], axis=0), rtol=1e-9)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"radam\(threshold\) is 3, expected a number in \[4, inf\]"):
        radam(threshold=3.0)
    with pytest.raises(ValueError, match=r"radam\(b2\) is 1"):
        radam(b2=1.0)

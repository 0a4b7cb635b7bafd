"""Noise on a falling rate: a pure function of step and seed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.schedules import linear_cosine, noisy_linear_cosine

pytestmark = pytest.mark.notes("S4-22b")
SEEDS = jnp.arange(4000)


def curves(steps, **arguments):
    """[seeds, steps]"""
    steps = jnp.asarray(steps)
    of_seed = jax.vmap(lambda seed: noisy_linear_cosine(0.5, 10, seed=seed, **arguments)(steps))
    return np.asarray(jax.jit(of_seed)(SEEDS))


def test_without_variance_it_is_linear_cosine():
    both = noisy_linear_cosine(0.5, 10, 0.0, num_periods=1.5, alpha=0.1), linear_cosine(0.5, 10, 1.5, 0.1)
    found, expected = jax.jit(lambda steps: [schedule(steps) for schedule in both])(np.arange(15))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_noise_is_unbiased_and_its_variance_falls_as_a_power():
    """Of the line, before the cosine: σ²/(1 + t)^γ."""
    steps = np.array([0, 1, 4, 8])
    found = curves(steps, initial_variance=0.25, variance_decay=0.8)
    clean = np.asarray(jax.jit(linear_cosine(0.5, 10))(steps))
    wave = 0.5 * (1 + np.cos(np.pi * steps / 10))
    stddev = 0.5 * wave * np.sqrt(0.25 / (1 + steps) ** 0.8)
    np.testing.assert_allclose(found.std(axis=0), stddev, rtol=0.05)
    np.testing.assert_allclose((found.mean(axis=0) - clean) / stddev, 0, atol=5 / len(SEEDS) ** 0.5)
    np.testing.assert_allclose(np.corrcoef(found.T) - np.eye(4), 0, atol=0.08)


def test_the_defaults_are_tensorflows():
    """Variance 1/(1 + t)^0.55, β 0.001, half a period; from the horizon on only β is left."""
    found = curves([0, 3, 10, 12])
    np.testing.assert_allclose(found[:, 0].var(), 0.25, rtol=0.08)
    wave = 0.5 * (1 + np.cos(0.3 * np.pi))
    np.testing.assert_allclose(found[:, 1].var(), 0.25 * wave**2 / 4**0.55, rtol=0.08)
    np.testing.assert_allclose(found[:, 2:], 0.5 * 0.001, rtol=1e-3)


def test_a_step_has_its_own_noise_whatever_was_asked_before():
    """So a run can be resumed, and a curve drawn; keys and seeds do alike."""
    schedule = noisy_linear_cosine(1.0, 10, seed=7)
    alone = [float(schedule(step)) for step in (3, 0, 3)]
    together = schedule(jnp.arange(5))
    np.testing.assert_allclose(alone, together[jnp.array([3, 0, 3])], rtol=1e-6)
    keyed = noisy_linear_cosine(1.0, 10, seed=jax.random.key(7))
    np.testing.assert_array_equal(keyed(jnp.arange(5)), together)
    assert float(noisy_linear_cosine(1.0, 10, seed=8)(3)) != alone[0]


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"noisy_linear_cosine\(initial_variance\) is -1"):
        noisy_linear_cosine(1.0, 10, -1.0)

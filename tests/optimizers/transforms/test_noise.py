"""Gradient noise: unbiased, annealed, and a function of the seed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from jaxopt_notes.optimizers.core.chain import chain
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.optimizers.transforms.noise import add_noise

GRADIENT = jnp.array([1.0, -2.0, 0.0])


def noisy_updates(seeds, eta=0.5, gamma=0.0, steps=1):
    def last(seed):
        transform = add_noise(eta, gamma, seed)
        state = transform.init(GRADIENT)
        for _ in range(steps):
            updates, state = transform.update(GRADIENT, state)
        return updates

    return np.asarray(jax.vmap(last)(jnp.arange(seeds)))


@pytest.mark.notes("S3-25")
def test_the_mean_of_noisy_updates_is_the_gradient():
    noisy = noisy_updates(20_000)
    np.testing.assert_allclose(noisy.mean(axis=0), GRADIENT, atol=4 * np.sqrt(0.5 / 20_000))
    np.testing.assert_allclose(noisy.var(axis=0), 0.5, rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(noisy.T) - np.eye(3), 0, atol=0.03)


def test_the_variance_falls_as_a_power_of_the_step():
    noisy = noisy_updates(20_000, eta=2.0, gamma=0.55, steps=4)
    np.testing.assert_allclose(noisy.var(axis=0), 2 / 4**0.55, rtol=0.05)


@pytest.mark.notes("S3-25")
def test_descent_with_noise_is_stochastic_gradient_descent():
    """On ½x² with a small rate η the stationary variance is ησ²/(2 − η), as for any unbiased noise."""
    rate, variance = 0.1, 1.0

    def end(seed):
        optimizer = chain(add_noise(variance, 0.0, seed), sgd(rate))

        def step(carry, _):
            x, state = carry
            updates, state = optimizer.update(x, state, x)
            return (apply_updates(x, updates), state), None

        x = jnp.zeros(())
        return jax.lax.scan(step, (x, optimizer.init(x)), length=200)[0][0]

    ends = jax.jit(jax.vmap(end))(jnp.arange(4000))
    np.testing.assert_allclose(np.var(ends), rate * variance / (2 - rate), rtol=0.1)
    np.testing.assert_allclose(np.mean(ends), 0, atol=0.02)


def test_a_seed_repeats_and_steps_differ():
    transform = add_noise(1.0, 0.0, 3)
    first, state = transform.update(GRADIENT, transform.init(None))
    again, _ = transform.update(GRADIENT, transform.init(None))
    second, _ = transform.update(GRADIENT, state)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_the_draws_of_a_leaf_do_not_depend_on_the_others():
    transform = add_noise(1.0)
    tree = {"a": jnp.zeros(3), "b": jnp.zeros(3), "n": jnp.arange(2), "none": None}
    both, _ = transform.update(tree, transform.init(tree))
    alone, _ = transform.update({"b": tree["b"]}, transform.init(None))
    np.testing.assert_array_equal(both["b"], alone["b"])
    assert not np.array_equal(both["a"], both["b"])
    np.testing.assert_array_equal(both["n"], 0)
    assert both["none"] is None

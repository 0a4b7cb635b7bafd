"""Noisy gradient descent: gradient descent on average, and with noise of the stated variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import add_noise, chain, noisy_sgd, sgd
from tests.optimizers.runs import falling_rate, follow, random_grads, random_params

MEMBERS = 4000


def paths(eta, gamma, rate=0.1):
    grads = jnp.array([[1.0, -2.0, 0.0]] * 4)
    members = jax.vmap(lambda seed: noisy_sgd(rate, eta, gamma, seed))(jnp.arange(MEMBERS))
    return np.asarray(jax.vmap(lambda o: follow(o, jnp.zeros(3), grads)[0])(members)), np.asarray(grads)


@pytest.mark.notes("S3-25")
def test_the_mean_is_gradient_descent_and_the_variance_falls_as_a_power():
    eta, gamma, rate = 0.5, 0.55, 0.1
    found, grads = paths(eta, gamma, rate)
    steps = np.diff(found, axis=1, prepend=0)
    for t in range(4):
        variance = rate**2 * eta / (1 + t) ** gamma
        error = 4.5 * np.sqrt(variance / MEMBERS)
        np.testing.assert_allclose(steps[:, t].mean(axis=0), -rate * grads[t], atol=error)
        np.testing.assert_allclose(steps[:, t].var(axis=0), variance, rtol=0.12)
    independent = np.corrcoef(steps.reshape(MEMBERS, -1).T)
    np.testing.assert_allclose(independent, np.eye(12), atol=0.08)


def test_it_is_add_noise_before_sgd(x64):
    both = [noisy_sgd(falling_rate, 0.3, 0.4, 7), chain(add_noise(0.3, 0.4, 7), sgd(falling_rate))]
    found, expected = (follow(optimizer, random_params(), random_grads())[0] for optimizer in both)
    for name, path in expected.items():
        np.testing.assert_allclose(found[name], path, rtol=1e-13)


def test_without_noise_it_is_gradient_descent(x64):
    found, expected = (
        follow(optimizer, random_params(), random_grads())[0] for optimizer in (noisy_sgd(0.1, 0.0), sgd(0.1))
    )
    for name, path in expected.items():
        np.testing.assert_allclose(found[name], path, rtol=1e-14)


def test_the_state_is_one_number():
    (count,) = jax.tree.leaves(noisy_sgd().init(jnp.ones((100, 100))))
    assert count.shape == ()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"add_noise\(eta\) is -1"):
        noisy_sgd(eta=-1.0)

"""Sophia: the formula on losses whose curvature is known, the estimates, and where its limits lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.optimizers import (
    apply_updates,
    gauss_newton_bartlett,
    hutchinson,
    signum,
    sophia,
)
from tests.optimizers.runs import random_params

CURVATURES = {"kernel": np.array([[1.0, -0.5], [0.2, 3.0], [-2.0, 0.7]]), "bias": np.array([0.3, 5.0, 1.0])}


def loss(params):
    """Separable, so that Hutchinson's estimate is exact; the curvature c·cos(x) changes its sign."""
    return -sum(jnp.sum(CURVATURES[name] * jnp.cos(x)) for name, x in params.items())


def follow(optimizer, loss, start, steps, **given):
    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params, **given)
        params = apply_updates(params, updates)
        return (params, state), (params, state)

    start = jax.tree.map(jnp.asarray, start)
    return jax.jit(lambda s: lax.scan(step, (s, optimizer.init(s)), length=steps)[1])(start)


@pytest.mark.parametrize("interval", [1, 3])
def test_golden(interval, x64):
    rate, b1, b2, gamma, clip, decay = 0.05, 0.8, 0.7, 0.6, 0.9, 0.1
    optimizer = sophia(
        rate, b1, b2, 1e-3, decay, gamma=gamma, clip_threshold=clip, update_interval=interval, mask=None
    )
    found, _ = follow(optimizer, loss, random_params(), 12, value_fn=loss)
    for name, x in random_params().items():
        c, m, h = CURVATURES[name], np.zeros_like(x), np.zeros_like(x)
        for t in range(12):
            m = b1 * m + (1 - b1) * c * np.sin(x)
            if t % interval == 0:
                h = b2 * h + (1 - b2) * c * np.cos(x)
            step = np.clip(m / np.maximum(gamma * h, 1e-3), -clip, clip)
            x = x - rate * (step + decay * x)
            np.testing.assert_allclose(found[name][t], x, rtol=1e-11)


def test_without_clip_and_memory_it_is_newton_where_the_hessian_is_diagonal(x64):
    scales = jnp.array([1.0, 10.0, 1e3])
    bowl = lambda x: jnp.sum(scales * (x - 3) ** 2)  # noqa: E731
    optimizer = sophia(1.0, 0.0, 0.0, gamma=1.0, clip_threshold=jnp.inf, weight_decay=0.0)
    found, _ = follow(optimizer, bowl, jnp.array([5.0, -5.0, 100.0]), 1, value_fn=bowl)
    np.testing.assert_allclose(found[0], 3.0, rtol=1e-12)


def test_where_everything_is_cut_off_it_is_signum(x64):
    """A tiny curvature times gamma leaves nothing but signs."""
    found, _ = follow(
        sophia(0.01, 0.9, gamma=1e-9, weight_decay=0.0), loss, random_params(), 8, value_fn=loss
    )
    expected, _ = follow(signum(0.01, 0.9), loss, random_params(), 8)
    for name, path in expected.items():
        np.testing.assert_allclose(found[name], path, rtol=1e-12)


def test_hutchinson_is_right_on_average(x64, key):
    a = np.random.default_rng(0).normal(size=(4, 4))
    a = a + a.T
    draws = jax.vmap(lambda key: hutchinson(lambda x: x @ jnp.asarray(a) @ x / 2, jnp.ones(4), key))(
        jax.random.split(key, 20_000)
    )
    off_diagonal = np.sqrt(((a - np.diag(np.diag(a))) ** 2).sum(axis=1))
    np.testing.assert_allclose(draws.std(axis=0), off_diagonal, rtol=0.05)
    assert (np.abs(draws.mean(axis=0) - np.diag(a)) < 4.5 * off_diagonal / np.sqrt(20_000)).all()


def test_hutchinson_of_a_complex_number_is_the_mean_of_both_curvatures(x64, key):
    bowl = lambda z: jnp.sum(jnp.real(z) ** 2 + 3 * jnp.imag(z) ** 2)  # noqa: E731
    draws = jax.vmap(lambda key: hutchinson(bowl, jnp.ones(3, complex), key))(jax.random.split(key, 4000))
    assert draws.dtype == np.float64
    np.testing.assert_allclose(draws.mean(axis=0), 4.0, atol=0.1)


def test_gauss_newton_bartlett_is_right_on_average(x64, key):
    """Logistic regression: B examples, the Hessian's diagonal is mean p(1 − p)·x²."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(16, 3)))
    w = jnp.array([0.5, -1.0, 0.3])

    def sampled(w, key):
        logits = x @ w
        labels = lax.stop_gradient(jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(float))
        return jnp.mean(jax.nn.softplus(logits) - labels * logits)

    draws = jax.vmap(lambda key: gauss_newton_bartlett(sampled, 16)(w, key))(jax.random.split(key, 20_000))
    p = 1 / (1 + np.exp(-np.asarray(x @ w)))
    expected = np.mean((p * (1 - p))[:, None] * np.asarray(x) ** 2, axis=0)
    assert (np.asarray(draws) >= 0).all()
    np.testing.assert_allclose(draws.mean(axis=0), expected, rtol=0.05)


def test_another_estimate_takes_the_place_of_the_loss(x64):
    """It is asked for when it is due only, and with a key of the step."""
    optimizer, x = sophia(1.0, 0.0, 0.0, gamma=1.0, update_interval=2, weight_decay=0.0), jnp.ones(2)
    curvature = lambda p, key: 2.0 + jax.random.uniform(key, p.shape)  # noqa: E731
    _, states = follow(optimizer, lambda x: jnp.sum(x**2), x, 4, hessian_fn=curvature)
    assert (states.nu[0] == states.nu[1]).all()
    assert (states.nu[2] == states.nu[3]).all()
    assert (states.nu[1] != states.nu[2]).all()
    assert (states.nu > 2).all()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"sophia\(gamma\) is 0, .*: the usual value is 0.01"):
        sophia(gamma=0.0)
    with pytest.raises(ValueError, match="sophia needs value_fn, but it is None"):
        sophia().update(jnp.ones(2), sophia().init(jnp.ones(2)), jnp.ones(2))


def test_leaves_of_one_shape_have_signs_of_their_own(x64, key):
    """Of ⟨a, b⟩ the diagonal is 0; with the signs of b those of a it would be 1 at every draw."""
    product = lambda tree: jnp.sum(tree["a"] * tree["b"])  # noqa: E731
    tree = {"a": jnp.ones(1000), "b": jnp.ones(1000)}
    found = hutchinson(product, tree, key)
    for leaf in found.values():
        assert abs(leaf.mean()) < 5 / np.sqrt(1000)


def test_the_signs_are_a_function_of_the_seed(x64):
    def mixed(x):
        return jnp.sum(x) ** 2 / 2 + jnp.sum(x**2)

    start = jnp.linspace(0.1, 1.0, 8)
    first, again, other = (
        follow(sophia(0.1, seed=seed, clip_threshold=jnp.inf), mixed, start, 1, value_fn=mixed)[0]
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()

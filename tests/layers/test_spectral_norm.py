"""Spectral normalization: the largest singular value, its gradient, what moves in training only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import zeros
from jaxopt_notes.layers import conv, dense, spectral_norm
from tests.compiled import apply, grad, init


def test_the_largest_singular_value_becomes_1_and_its_gradient_is_exact(x64):
    """After enough iterations Ŵ = W/σ₁, and the gradient is that through the singular value decomposition."""
    rng = np.random.default_rng(0)
    kernel, weights = jnp.asarray(rng.normal(size=(5, 3))), jnp.asarray(rng.normal(size=(5, 3)))
    layer = spectral_norm(dense(3, use_bias=False), n_steps=200)
    _, state = init(layer, jax.random.key(0), jnp.eye(5))

    @jax.jit
    def ours(kernel):
        y, after = apply(layer, {"kernel": kernel}, state, jnp.eye(5), train=True)
        return jnp.sum(weights * y), (y, after)

    gradient, (y, after) = grad(ours, has_aux=True)(kernel)
    left, values, right = np.linalg.svd(np.asarray(kernel))
    np.testing.assert_allclose(y, kernel / values[0], rtol=1e-10)
    np.testing.assert_allclose(np.abs(after["v"]), np.abs(left[:, 0]), rtol=1e-7)
    slope = np.outer(left[:, 0], right[0])
    want = np.asarray(weights) / values[0] - (np.sum(weights * kernel) / values[0] ** 2) * slope
    np.testing.assert_allclose(gradient, want, rtol=1e-7)


def test_iterates_in_training_only(key):
    layer = spectral_norm(conv(4))
    x = jax.random.normal(key, (2, 5, 5, 3))
    params, state = init(layer, key, x)
    assert (state["u"].shape, state["v"].shape) == ((4,), (27,))
    _, kept = layer.apply(params, state, x)
    assert kept is state
    _, moved = apply(layer, params, state, x, train=True)
    assert not jnp.array_equal(moved["u"], state["u"])
    matrix = np.asarray(params["kernel"], np.float64).reshape(27, 4)
    u = np.asarray(state["v"]) @ matrix
    u /= np.linalg.norm(u)
    v = matrix @ u
    np.testing.assert_allclose(moved["u"], u, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(moved["v"], v / np.linalg.norm(v), rtol=1e-4, atol=1e-6)


def test_a_kernel_of_zeros_stays_and_has_a_finite_gradient(key):
    layer = spectral_norm(dense(2, kernel_init=zeros()))
    params, state = init(layer, key, jnp.ones((1, 3)))
    run = lambda p: jnp.sum(apply(layer, p, state, jnp.ones((1, 3)), train=True)[0])  # noqa: E731
    assert run(params) == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grad(run)(params)))


def test_errors():
    with pytest.raises(ValueError, match=r"spectral_norm\(n_steps\) is 0"):
        spectral_norm(dense(1), 0)

"""Gradients of mean zero, and of length one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import sgd
from jaxopt_notes.optimizers.transforms.centralize import centralize, normalize_by_norm


@pytest.mark.parametrize("shape", [(5, 4), (3, 3, 2, 4)], ids=str)
def test_the_mean_over_the_inputs_of_each_output_is_gone(shape, x64):
    g = np.random.default_rng(0).normal(size=shape) + 3
    found, _ = centralize().update(g, ())
    for unit in range(shape[-1]):
        np.testing.assert_allclose(found[..., unit], g[..., unit] - g[..., unit].mean(), rtol=1e-12)
        np.testing.assert_allclose(np.mean(found[..., unit]), 0, atol=1e-15)


def test_the_sum_of_incoming_weights_is_never_moved(x64):
    """The paper's constraint: 1ᵀw stays. Biases are left alone."""
    g = {"kernel": np.random.default_rng(0).normal(size=(5, 4)), "bias": np.ones(3), "scalar": np.array(2.0)}
    found, _ = centralize().update(g, ())
    updates, _ = sgd(0.1).update(found, sgd(0.1).init(g))
    np.testing.assert_allclose(jnp.sum(updates["kernel"], axis=0), 0, atol=1e-15)
    np.testing.assert_array_equal(found["bias"], g["bias"])
    np.testing.assert_array_equal(found["scalar"], g["scalar"])


@pytest.mark.parametrize(("c", "eps"), [(1.0, 1e-6), (3.0, 0.0), (0.5, 1.0)])
def test_one_length_for_all_leaves_together(c, eps, x64):
    rng = np.random.default_rng(0)
    g = {"a": rng.normal(size=(3, 4)), "b": rng.normal(size=5)}
    found, _ = normalize_by_norm(c, eps).update(g, ())
    length = np.linalg.norm(np.concatenate([g["a"].ravel(), g["b"]]))
    for name in g:
        np.testing.assert_allclose(found[name], c * g[name] / (length + eps), rtol=1e-12)


@pytest.mark.parametrize("eps", [0.0, 1e-6])
def test_nothing_stays_nothing_and_has_a_gradient(eps):
    zero = jnp.zeros(3)
    np.testing.assert_array_equal(normalize_by_norm(eps=eps).update(zero, ())[0], 0)
    slope = jax.grad(lambda g: jnp.sum(normalize_by_norm(eps=eps).update(g, ())[0]))(zero)
    assert jnp.isfinite(slope).all()


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_huge_and_tiny_gradients_have_a_length(size):
    found, _ = normalize_by_norm(eps=0.0).update(jnp.full(4, size), ())
    np.testing.assert_allclose(found, 0.5, rtol=1e-6)

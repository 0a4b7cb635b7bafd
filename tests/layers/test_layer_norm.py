"""Layer normalization: its formula and what it is invariant to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import batch_norm, layer_norm
from tests.compiled import apply, grad, init


def run(x, eps=1e-12, **params):
    fresh = init(layer_norm(eps), jax.random.key(0), x)[0]
    return np.asarray(apply(layer_norm(eps), {**fresh, **params}, (), x)[0])


@pytest.fixture
def x(x64):
    return jnp.asarray(np.random.default_rng(0).normal(2, 3, (6, 5)))


@pytest.mark.notes("S4-62")
def test_formula_and_moments(x):
    np.testing.assert_allclose(run(x).mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose(run(x).var(-1), 1, rtol=1e-10)
    scale, bias, a = np.arange(1.0, 6), np.arange(5.0), np.asarray(x)
    want = (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 0.1) * scale + bias
    got = run(x, eps=0.1, scale=jnp.asarray(scale), bias=jnp.asarray(bias))
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.notes("S4-62")
def test_batch_mates_do_not_matter(x):
    np.testing.assert_array_equal(run(x)[:1], run(x[:1]))


@pytest.mark.notes("S4-62")
def test_invariant_to_shift_and_scale_of_each_sample(x):
    shift, scale = jnp.linspace(-5, 5, 6)[:, None], jnp.linspace(0.5, 4, 6)[:, None]
    np.testing.assert_allclose(run(scale * x + shift), run(x), rtol=1e-9, atol=1e-10)


@pytest.mark.notes("S4-73", "S4-62")
def test_is_batch_norm_of_the_transpose(x):
    layer = batch_norm(eps=1e-12)
    params, state = init(layer, jax.random.key(0), x.T)
    transposed, _ = apply(layer, params, state, x.T, train=True)
    np.testing.assert_allclose(run(x), transposed.T, rtol=1e-12, atol=1e-13)


def test_constant_sample_gives_the_bias_with_a_finite_gradient():
    x = jnp.full((2, 4), 3.0)
    np.testing.assert_array_equal(run(x, 1e-5), np.zeros((2, 4)))
    gradient = grad(lambda x: jnp.sum(apply(layer_norm(), init(layer_norm(), None, x)[0], (), x)[0] ** 2))(x)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_low_precision_has_float32_statistics(dtype):
    a = jnp.asarray(np.random.default_rng(0).normal(300, 300, (2, 512)), dtype)
    y, exact = run(a), np.asarray(a.astype(jnp.float32), np.float64)
    assert y.dtype == dtype
    want = (exact - exact.mean(-1, keepdims=True)) / exact.std(-1, keepdims=True)
    np.testing.assert_allclose(y.astype(np.float32), want, rtol=0.01, atol=0.01)

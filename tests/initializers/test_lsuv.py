"""LSUV: variance 1 after every layer, whatever the activation, in networks of any shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import lsuv, orthogonal, zeros
from jaxopt_notes.layers import conv, dense, flatten, max_pool, mlp, residual, serial


@pytest.mark.full
def test_every_layer_has_variance_1_on_the_batch(key, x64):
    x = 5 + 3 * jax.random.normal(key, (64, 6, 6, 2))
    inner = serial(conv(4, kernel_init=orthogonal()), jnp.sin)
    model = serial(conv(4), jnp.tanh, residual(inner), max_pool(2), flatten(), dense(7), jnp.square, dense(2))
    params, state = lsuv(model, key, x)
    fresh, _ = model.init(key, x)
    assert state == ()
    assert jax.tree.structure(params) == jax.tree.structure(fresh)
    for name in ("layers_0", "layers_5", "layers_7"):  # the same directions, biases of 0
        ratio = params[name]["kernel"] / fresh[name]["kernel"]
        np.testing.assert_allclose(ratio, ratio.reshape(-1)[0], rtol=1e-6)
        np.testing.assert_array_equal(params[name]["bias"], 0)
    y = x
    for i, layer in enumerate(model.layers):
        before, (y, _) = y, layer.apply(params.get(f"layers_{i}", {}), (), y)
        if i in (0, 5, 7):
            np.testing.assert_allclose(jnp.var(y), 1, rtol=1e-9)
        if i == 2:
            hidden, _ = inner.layers[0].apply(params["layers_2"]["layer"]["layers_0"], (), before)
            np.testing.assert_allclose(jnp.var(hidden), 1, rtol=1e-9)


@pytest.mark.full
def test_a_deep_network_of_any_activation_keeps_its_signal(key):
    """Thirty layers of an activation that shrinks: without it nothing comes out."""
    x = jax.random.normal(key, (128, 8))
    model = mlp([16] * 30 + [1], lambda z: 0.1 * jnp.tanh(z))
    params, state = lsuv(model, key, x)
    fresh, _ = model.init(key, x)
    assert abs(float(model.apply(params, state, x)[0].var()) - 1) < 1e-3
    assert float(model.apply(fresh, state, x)[0].var()) < 1e-20


def test_each_layer_in_turn_has_variance_1_and_what_does_not_vary_stays(key):
    x = np.random.default_rng(0).normal(5, 3, (16, 3)).astype(np.float32)
    model = serial(dense(4), jnp.tanh, dense(2))
    still = dense(2, kernel_init=zeros())
    params, same = jax.jit(lambda x: (lsuv(model, key, x)[0], lsuv(still, key, jnp.ones_like(x))[0]))(x)
    hidden = x @ np.asarray(params["layers_0"]["kernel"])
    outputs = np.tanh(hidden) @ np.asarray(params["layers_2"]["kernel"])
    np.testing.assert_allclose([hidden.var(), outputs.var()], 1, rtol=1e-4)
    np.testing.assert_array_equal(same["kernel"], 0)

"""Layers in sequence: names, keys, state, nesting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import batch_norm, dense, dropout, flatten, serial
from jaxopt_notes.record import record
from tests.compiled import apply, grad, init


def test_names_and_state(key):
    model = serial(flatten(), dense(4), jnp.tanh, batch_norm(), dropout(0.5), dense(2))
    params, state = init(model, key, jnp.ones((3, 2, 2)))
    assert set(params) == {"layers_1", "layers_3", "layers_5"}
    assert set(state) == {"layers_3"}
    _, after = apply(model, params, state, jnp.ones((3, 2, 2)), key=key, train=True)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert init(serial(dense(2), jnp.tanh), key, jnp.ones((1, 2)))[1] == ()


def test_child_i_draws_from_fold_in_i(key):
    x = jnp.ones((2, 3))
    longer, _ = init(serial(dense(4), jnp.tanh, dense(2)), key, x)
    shorter, _ = init(serial(dense(4), jnp.tanh), key, x)
    np.testing.assert_array_equal(longer["layers_0"]["kernel"], shorter["layers_0"]["kernel"])
    alone, _ = init(dense(2), jax.random.fold_in(key, 2), jnp.ones((2, 4)))
    np.testing.assert_array_equal(longer["layers_2"]["kernel"], alone["kernel"])
    y, _ = apply(serial(jnp.tanh, dropout(0.5)), {}, (), jnp.ones(50), key=key, train=True)
    want, _ = apply(dropout(0.5), {}, (), jnp.tanh(jnp.ones(50)), key=jax.random.fold_in(key, 1), train=True)
    np.testing.assert_array_equal(y, want)


def test_nests(key):
    x = jax.random.normal(key, (5, 3))
    inner = serial(dense(4), batch_norm(), jnp.tanh)
    model = serial(inner, dense(2))
    params, state = init(model, key, x)
    assert set(params["layers_0"]) == {"layers_0", "layers_1"}
    h, inner_state = apply(inner, params["layers_0"], state["layers_0"], x, train=True)
    y, after = apply(model, params, state, x, train=True)
    np.testing.assert_array_equal(y, apply(dense(2), params["layers_1"], (), h)[0])
    np.testing.assert_array_equal(after["layers_0"]["layers_1"]["mean"], inner_state["layers_1"]["mean"])


def test_init_reads_only_the_shape(key):
    model = serial(dense(4), dropout(0.5), dense(2))
    abstract, _ = init(model, key, jax.ShapeDtypeStruct((7, 3), jnp.float32))
    concrete, _ = init(model, key, jnp.ones((7, 3)))
    jax.tree.map(np.testing.assert_array_equal, abstract, concrete)


def test_empty_is_the_identity(key):
    assert init(serial(), key, jnp.ones(2)) == ({}, ())
    assert apply(serial(), {}, (), jnp.ones(2))[0].tolist() == [1.0, 1.0]


def test_a_list_is_refused():
    with pytest.raises(TypeError, match=r"serial\(layers\[0\]\) is \[.*expected a layer"):
        serial([dense(2)])


def test_two_layers_of_one_shape_begin_apart_and_two_dropouts_drop_apart(key):
    params, _ = init(serial(dense(3), dense(3)), key, jnp.ones((1, 3)))
    assert not np.isclose(params["layers_0"]["kernel"], params["layers_1"]["kernel"]).any()
    twice = serial(dropout(0.5), dropout(0.5))
    kept = apply(twice, {}, (), jnp.ones((1, 4000)), key=key, train=True)[0] != 0
    assert abs(kept.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)  # a quarter gets through both


@record
class Masked:
    """Keeps what a mask tells it to keep, and has a parameter of the mask's shape."""

    def init(self, key, x, mask):
        return {"scale": jnp.ones(mask.shape)}, ()

    def apply(self, params, state, x, *, key=None, train=False, mask):
        return params["scale"] * mask * x, state


def test_other_arguments_reach_the_layers_that_name_them(key):
    """Through containers, and past layers that do not know them; a shape is enough to start from."""
    model = serial(dense(3), serial(jnp.tanh, Masked()), dense(2))
    x, mask = jax.random.normal(key, (4, 3)), jnp.array([[1.0], [0.0], [1.0], [0.0]])
    described = jax.ShapeDtypeStruct(mask.shape, mask.dtype)
    params, state = init(model, key, x, mask=described, other=described)
    assert params["layers_1"]["layers_1"]["scale"].shape == (4, 1)
    y, _ = apply(model, params, state, x, mask=mask, other=mask)
    hidden = mask * jnp.tanh(apply(dense(3), params["layers_0"], (), x)[0])
    np.testing.assert_allclose(y, apply(dense(2), params["layers_2"], (), hidden)[0], rtol=1e-6)
    with pytest.raises(TypeError, match="mask"):
        apply(model, params, state, x)


@pytest.mark.notes("S0-30")
def test_the_gradient_of_layer_k_goes_through_the_layers_above_it(x64):
    """n layers tanh(h·Wₖ): ∂L/∂Wₖ = hₖ₋₁ᵀ·δₖ, where δₖ is δₙ times n − k Jacobians of layers."""
    rng, n = np.random.default_rng(0), 4
    kernels = [rng.normal(size=(3, 3)) for _ in range(n)]
    model = serial(*[layer for _ in kernels for layer in (dense(3, use_bias=False), jnp.tanh)])
    params = {f"layers_{2 * i}": {"kernel": jnp.asarray(kernel)} for i, kernel in enumerate(kernels)}
    x, weights = rng.normal(size=(1, 3)), rng.normal(size=(1, 3))
    grads = grad(lambda p: jnp.sum(jnp.asarray(weights) * apply(model, p, (), jnp.asarray(x))[0]))(params)
    h = [x]
    for kernel in kernels:
        h.append(np.tanh(h[-1] @ kernel))
    jacobians = [kernels[k] * (1 - h[k + 1] ** 2) for k in range(1, n)]  # of layer k + 1, [in, out]
    for k in range(1, n + 1):
        above = np.linalg.multi_dot([np.eye(3), *jacobians[k - 1 :], np.eye(3)])
        assert len(jacobians[k - 1 :]) == n - k
        delta = (above @ weights.T).T * (1 - h[k] ** 2)
        np.testing.assert_allclose(grads[f"layers_{2 * k - 2}"]["kernel"], h[k - 1].T @ delta, rtol=1e-10)

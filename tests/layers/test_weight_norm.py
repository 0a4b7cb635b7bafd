"""Weight normalization: gradient, start from data, length under descent; weight standardization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import zeros
from jaxopt_notes.layers import (
    conv,
    dense,
    repeat,
    residual,
    serial,
    weight_norm,
    weight_norm_init,
    weight_standardization,
)
from tests.compiled import apply, grad, init


@pytest.mark.notes("S4-63")
def test_gradients_in_closed_form(x64):
    """∇g = ∇w·v/‖v‖ and ∇v = (g/‖v‖)·∇w − (g·∇g/‖v‖²)·v, at right angles to v; ‖w‖ = g."""
    rng = np.random.default_rng(0)
    x, v, g, weights = (rng.normal(size=shape) for shape in ((6, 4), (4, 3), 3, (6, 3)))
    layer = weight_norm(dense(3, use_bias=False))

    def loss(params):
        return jnp.sum(weights * jnp.sin(apply(layer, params, (), jnp.asarray(x))[0]))

    gradient = grad(loss)({"kernel": jnp.asarray(v), "scale": jnp.asarray(g)})
    length = np.linalg.norm(v, axis=0)
    w = g * v / length
    by_w = x.T @ (weights * np.cos(x @ w))
    by_g = (by_w * v / length).sum(0)
    np.testing.assert_allclose(gradient["scale"], by_g, rtol=1e-10)
    np.testing.assert_allclose(gradient["kernel"], g / length * by_w - g * by_g / length**2 * v, rtol=1e-9)
    np.testing.assert_allclose((np.asarray(gradient["kernel"]) * v).sum(0), 0, atol=1e-12)


@pytest.mark.notes("S4-63")
def test_descent_lengthens_v_and_never_shortens_it(key):
    x, y = jax.random.normal(key, (32, 5)), jax.random.normal(jax.random.key(1), (32, 2))
    layer = weight_norm(dense(2))
    params, _ = init(layer, key, x)

    def step(params, _):
        gradient = grad(lambda p: jnp.mean((apply(layer, p, (), x)[0] - y) ** 2))(params)
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, gradient)
        return params, jnp.linalg.norm(params["kernel"], axis=0)

    _, lengths = jax.lax.scan(step, params, length=30)
    assert (np.diff(lengths, axis=0) > -1e-6).all()
    assert (lengths[-1] > jnp.linalg.norm(params["kernel"], axis=0) * 1.005).all()


@pytest.mark.notes("S4-63")
def test_starts_as_the_layer_does_or_from_data(key, x64):
    """From data: every unit of every layer has mean 0 and variance 1 on the batch, also inside others."""
    x = np.random.default_rng(0).normal(3, 2, (16, 5, 4, 2))
    plain, hidden = weight_norm(conv(3)), serial(weight_norm(conv(4)), jnp.tanh)
    block = residual(hidden, weight_norm(conv(4, 1)))
    model = serial(block, lambda x: x.mean((1, 2)), weight_norm(dense(3)), dense(2))

    @jax.jit
    def run(x):
        own = plain.init(key, x)[0]
        bare = {name: own[name] for name in ("kernel", "bias")}
        both = plain.apply(own, (), x)[0], conv(3).apply(bare, (), x)[0]
        params, state = weight_norm_init(model, key, x)
        inside = params["layers_0"]["layer"]["layers_0"]
        y = block.apply(params["layers_0"], (), x)[0].mean((1, 2))
        z = weight_norm(dense(3)).apply(params["layers_2"], (), y)[0]
        first = weight_norm(conv(4)).apply(inside, (), x)[0]
        return both, params, state, model.init(key, x)[0], (first, z)

    both, params, state, fresh, units = run(x)
    np.testing.assert_allclose(*both, atol=1e-12)
    assert state == ()
    assert jax.tree.structure(params) == jax.tree.structure(fresh)
    for a, b in zip(jax.tree.leaves(params["layers_3"]), jax.tree.leaves(fresh["layers_3"]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    for t in map(np.asarray, units):
        axes = tuple(range(t.ndim - 1))
        np.testing.assert_allclose(t.mean(axes), 0, atol=1e-10)
        np.testing.assert_allclose(t.var(axes), 1, rtol=1e-9)


@pytest.mark.full
@pytest.mark.notes("S4-63")
def test_starts_from_data_in_a_scan_over_blocks_and_where_nothing_varies(key, x64):
    x = jax.random.normal(key, (32, 4))
    model = repeat(serial(weight_norm(dense(4)), jnp.tanh), 3)
    params, _ = weight_norm_init(model, key, x)
    layer, leaves = serial(weight_norm(dense(4)), jnp.tanh), params
    for i in range(3):
        own = jax.tree.map(
            lambda leaf, i=i: leaf[i], leaves[next(iter(leaves))] if len(leaves) == 1 else leaves
        )
        x, _ = apply(layer, own, (), x)
        np.testing.assert_allclose(jnp.arctanh(x).std(0), 1, rtol=1e-6)
    params, _ = weight_norm_init(weight_norm(dense(2, kernel_init=zeros())), key, x)
    np.testing.assert_array_equal(params["scale"], [1.0, 1.0])
    with pytest.raises(TypeError, match="depend on data"):
        weight_norm_init(model, key, jax.ShapeDtypeStruct((2, 4), jnp.float32))


def test_zero_vectors_have_finite_gradients():
    layer = weight_norm(dense(2, kernel_init=zeros()))
    params, _ = init(layer, jax.random.key(0), jnp.ones((1, 3)))
    gradient = grad(lambda p: jnp.sum(apply(layer, p, (), jnp.ones((1, 3)))[0]))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_weight_standardization(x64):
    """(w − μ)/√(σ² + eps) over all but the outputs, for dense layers and convolutions."""
    rng = np.random.default_rng(0)
    for layer, shape, kernel in ((dense(3), (2, 5), (5, 3)), (conv(3), (2, 4, 4, 2), (3, 3, 2, 3))):
        x, w, bias = (
            jnp.asarray(rng.normal(size=shape)),
            rng.normal(2, 3, kernel),
            jnp.asarray(rng.normal(size=3)),
        )
        axes = tuple(range(len(kernel) - 1))
        want = (w - w.mean(axes)) / np.sqrt(w.var(axes) + 0.1)
        ours = weight_standardization(layer, 0.1)
        y, _ = apply(ours, {"kernel": jnp.asarray(w), "bias": bias}, (), x)
        expected, _ = apply(layer, {"kernel": jnp.asarray(want), "bias": bias}, (), x)
        np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-12)
    sure = weight_standardization(dense(3), 1e-12)
    by_w = grad(
        lambda w: jnp.sum(jnp.sin(apply(sure, {"kernel": w}, (), jnp.ones((1, 5)) + x[0, 0, 0, 0])[0]))
    )
    gradient = by_w(jnp.asarray(rng.normal(size=(5, 3))))
    np.testing.assert_allclose(gradient.sum(0), 0, atol=1e-12)  # no slope along a shift


def test_what_has_no_kernel_is_refused():
    with pytest.raises(ValueError, match=r"weight_norm\(layer\).*one kernel and no state"):
        weight_norm(serial(dense(2))).init(jax.random.key(0), jnp.ones((1, 2)))
    with pytest.raises(TypeError, match=r"weight_standardization\(layer\) is 1e-05"):
        weight_standardization(1e-5)

"""Every registered layer × every invariant of the protocol."""

import functools
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import layers
from jaxopt_notes.activations import softsign
from jaxopt_notes.initializers import constant, normal
from jaxopt_notes.layers import LAYERS, Layer, conv, dense, layer_norm

FLAT, IMAGES = (6, 5), (3, 8, 8, 2)
EXAMPLES = {
    "activation": (LAYERS["activation"]("tanh"), FLAT),
    "average_pool": (LAYERS["average_pool"](), IMAGES),
    "batch_norm": (LAYERS["batch_norm"](), FLAT),
    "cnn": (LAYERS["cnn"]([3, 4], [5, 2], dropout=0.3, batch_norm=True), IMAGES),
    "conv": (LAYERS["conv"](4), IMAGES),
    "dense": (LAYERS["dense"](4), FLAT),
    "dropout": (LAYERS["dropout"](0.3), FLAT),
    "flatten": (LAYERS["flatten"](), IMAGES),
    "layer_norm": (LAYERS["layer_norm"](), FLAT),
    "max_pool": (LAYERS["max_pool"](), IMAGES),
    "mlp": (LAYERS["mlp"]([5, 2], dropout=0.3, batch_norm="after"), FLAT),
    "serial": (LAYERS["serial"](dense(3), softsign, layer_norm()), FLAT),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


@pytest.fixture
def case(name, key):
    layer, shape = EXAMPLES[name]
    x = jax.random.normal(key, shape)
    return layer, x, *layer.init(key, x)


def run(layer, params, state, x, key, train=True):
    return layer.apply(params, state, x, key=key, train=train)


def test_everything_registered_has_an_example_and_is_exported():
    assert set(EXAMPLES) == set(LAYERS)
    assert set(LAYERS) <= set(layers.__all__)
    assert sorted(layers.__all__) == sorted(set(layers.__all__))


@every_layer
def test_protocol_and_pytree(case):
    layer, x, params, state = case
    assert isinstance(layer, Layer)
    leaves, treedef = jax.tree.flatten(layer)
    assert repr(jax.tree.unflatten(treedef, leaves)) == repr(layer)
    jax.tree.map(lambda leaf: None, layer)  # records accept anything for a number
    again = pickle.loads(pickle.dumps(layer))
    chex.assert_trees_all_equal(
        run(again, params, state, x, None, False), run(layer, params, state, x, None, False)
    )


@every_layer
def test_init_from_a_shape_is_init_from_data(case, key):
    layer, x, params, state = case
    chex.assert_trees_all_equal(layer.init(key, jax.ShapeDtypeStruct(x.shape, x.dtype)), (params, state))


@every_layer
@pytest.mark.parametrize("train", [True, False])
def test_jit_with_the_layer_as_an_argument(case, train, key):
    compiled = jax.jit(run, static_argnames="train")(*case[:1], *case[2:], case[1], key, train=train)
    eager = run(case[0], *case[2:], case[1], key, train)
    chex.assert_trees_all_close(compiled, eager, rtol=1e-5, atol=1e-5)


@every_layer
def test_vmap_over_numbers_weights_and_keys_is_the_loop(case, key):
    layer, x, _, _ = case
    keys = jax.random.split(key, 2)
    params, state = jax.vmap(lambda k: layer.init(k, x))(keys)
    batch = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf) * f for f in (0.5, 1.0)]), layer)
    got = jax.jit(jax.vmap(run, (0, 0, 0, None, 0)))(batch, params, state, x, keys)
    single = jax.jit(lambda *a: run(*a))
    for i in range(2):
        one = [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for tree in (batch, params, state)]
        want = single(*one, x, keys[i])
        chex.assert_trees_all_close(jax.tree.map(lambda a, i=i: a[i], got), want, rtol=1e-5, atol=1e-5)


@every_layer
def test_one_trace_for_changed_numbers(case, key):
    layer, x, params, state = case
    traces = []

    @jax.jit
    def step(*arguments):
        traces.append(arguments)
        return run(*arguments)

    for factor in (1.0, 0.5, 0.1):
        step(jax.tree.map(lambda leaf, f=factor: leaf * f, layer), params, state, x, key)
    assert len(traces) == 1


@every_layer
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_dtypes(case, dtype, key):
    """The output has the dtype of the input; state and gradients keep those of state and parameters."""
    layer, x, params, state = case

    def loss(params):
        y, after = run(layer, params, state, x.astype(dtype), key)
        return jnp.sum(y.astype(jnp.float32) ** 2), (y, after)

    grads, (y, after) = jax.jit(jax.grad(loss, has_aux=True))(params)
    assert y.dtype == dtype
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    chex.assert_trees_all_equal_shapes_and_dtypes(grads, params)
    chex.assert_tree_all_finite((y, grads))
    fresh, _ = layer.init(key, x.astype(dtype))
    assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} <= {jnp.dtype("float32")}


@every_layer
def test_float64(name, key, x64):
    layer, shape = EXAMPLES[name]
    x = jax.random.normal(key, shape, jnp.float64)
    params, state = layer.init(key, x)
    y, _ = jax.jit(lambda *a: run(*a))(layer, params, state, x, key)
    assert {leaf.dtype for leaf in jax.tree.leaves((y, params, state))} == {jnp.dtype("float64")}


@every_layer
def test_state_is_a_carry_of_scan(case, key):
    layer, x, params, state = case

    def step(state, i):
        return run(layer, params, state, x, jax.random.fold_in(key, i))[1], None

    last, _ = jax.lax.scan(step, state, jnp.arange(4))
    compiled = jax.jit(step)
    for i in range(4):
        state, _ = compiled(state, i)
    chex.assert_trees_all_close(last, state, rtol=1e-5, atol=1e-6)


@every_layer
def test_gradient_is_that_of_finite_differences(name, key, x64):
    """Along one direction of input and parameters at once, forward and reverse."""
    layer, shape = EXAMPLES[name]
    x = jax.random.normal(key, shape, jnp.float64)
    params, state = layer.init(key, x)

    @jax.jit
    def loss(at):
        return jnp.sum(jnp.sin(run(layer, at[1], state, at[0], key)[0]))

    at = (x, params)
    way = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape), at)
    _, forward = jax.jvp(loss, (at,), (way,))
    reverse = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, jax.jit(jax.grad(loss))(at), way)))
    ahead, behind = (loss(jax.tree.map(lambda a, w, h=h: a + h * w, at, way)) for h in (1e-7, -1e-7))
    np.testing.assert_allclose([forward, reverse], (ahead - behind) / 2e-7, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [dense, functools.partial(conv, kernel_size=1)])
def test_kernel_and_bias_are_drawn_apart_and_as_they_were_asked_to(make, key):
    """With one input the kernel has as many numbers as the bias, and its key would draw the same ones."""
    x = jnp.ones((1, 1)) if make is dense else jnp.ones((1, 1, 1, 1))
    params, _ = make(8, kernel_init=normal(3.0), bias_init=normal(3.0)).init(key, x)
    kernel, bias = params["kernel"].ravel(), params["bias"]
    assert not np.isclose(kernel, bias, rtol=1e-3).any()
    params, _ = make(8, kernel_init=constant(2.0), bias_init=constant(5.0)).init(key, x)
    np.testing.assert_array_equal(params["kernel"].ravel(), 2)
    np.testing.assert_array_equal(params["bias"], 5)
    assert set(make(8, use_bias=False).init(key, x)[0]) == {"kernel"}

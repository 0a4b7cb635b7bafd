"""Every layer × every invariant of the protocol `init` and `apply`."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.dtypes import is_float
from jaxopt_notes.layers import Layer
from jaxopt_notes.masks import path_name
from tests.properties.registry import cases, inputs, types

NAMES = {"bias", "embedding", "kernel", "negative_slope", "scale"}


class Case:
    """A layer with parameters of its own, drawn when they are asked for."""

    def __init__(self, subject):
        self.layer, self.x, self.key = subject.build(), inputs(subject), jax.random.key(3)
        self.subject = subject
        self.of_tokens = not all(map(is_float, jax.tree.leaves(self.x)))

    @functools.cached_property
    def drawn(self):
        return jax.jit(self.layer.init)(self.key, self.x)

    @property
    def params(self):
        return self.drawn[0]

    @property
    def state(self):
        return self.drawn[1]

    def evaluate(self, params, x):
        return self.layer.apply(params, self.state, x)[0]


def with_dtype(x, dtype):
    """The shapes of a batch in another dtype, but for tokens."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype if is_float(leaf) else leaf.dtype), x
    )


@pytest.fixture(scope="module", params=cases("layers"), ids=str)
def case(request):
    return Case(request.param)


@pytest.mark.full
def test_a_shape_is_enough_to_start_from(case):
    assert isinstance(case.layer, Layer)
    described = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), case.x)
    again = jax.jit(lambda key: case.layer.init(key, described))(case.key)
    chex.assert_trees_all_equal(again, (case.params, case.state))


def test_parameters_have_the_names_of_flax_and_states_are_dicts_or_nothing(case):
    params, state = jax.eval_shape(case.layer.init, case.key, case.x)
    names = {path_name(path).split("/")[-1] for path, _ in jax.tree.leaves_with_path(params)}
    assert isinstance(params, dict)
    assert names <= NAMES
    assert state == () or (isinstance(state, dict) and jax.tree.leaves(state))


def test_float64_of_numpy_is_what_jax_makes_of_it(case):
    """Without x64 that is float32, and nothing warns of it: nobody has asked for more."""
    x = jax.tree.map(lambda leaf: np.asarray(leaf, float) if is_float(leaf) else np.asarray(leaf), case.x)
    described = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), x)
    expected = types(jax.eval_shape(case.layer.init, case.key, case.x))
    for given in (x, described):
        assert types(jax.eval_shape(lambda key, x=given: case.layer.init(key, x), case.key)) == expected


@pytest.mark.parametrize(
    "dtype",
    [
        "float16",
        "int32",
        *(pytest.param(d, marks=pytest.mark.full) for d in ("bfloat16", "float32", "float64")),
    ],
)
def test_dtypes(case, dtype):
    """The output has the input's, parameters at least float32; a training loop carries the state."""

    def train(params, state, x, key):
        def body(state, key):
            y, state = case.layer.apply(params, state, x, key=key, train=True)
            return state, y

        return lax.scan(body, state, jax.random.split(key))

    wide = "float64" if dtype == "float64" else "float32"
    with jax.enable_x64(dtype == "float64"):
        x = with_dtype(case.x, dtype)
        of_floats = with_dtype(case.x, wide if dtype == "int32" else dtype)
        params, state = jax.eval_shape(case.layer.init, case.key, of_floats)
        after, y = jax.eval_shape(train, params, state, x, case.key)
        evaluated, kept = jax.eval_shape(case.layer.apply, params, state, x)
        assert types(after) == types(kept) == types(state)
        assert y.shape[1] == jax.tree.leaves(x)[0].shape[0]
        assert types(evaluated) == types(jax.ShapeDtypeStruct(y.shape[1:], y.dtype))
        expected = (wide,) if case.of_tokens else (wide, dtype) if dtype == "int32" else (dtype,)
        assert y.dtype in expected
        assert not y.weak_type
        assert all(leaf.dtype == wide for leaf in jax.tree.leaves((params, state)))


@pytest.mark.full
def test_in_evaluation_examples_are_alone_and_the_state_is_kept(case):
    def batch_of(one):
        return jax.tree.map(lambda leaf: leaf[None], one)

    @jax.jit
    def both(x):
        one_by_one = jax.vmap(lambda one: case.evaluate(case.params, batch_of(one))[0])(x)
        return case.layer.apply(case.params, case.state, x), one_by_one

    (together, state), alone = both(case.x)
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, state, case.state)


@pytest.mark.full
def test_vmap_over_numbers_weights_and_keys_is_the_loop(case):
    """Members drawn, trained on a batch and evaluated together are those done one by one."""

    def member(layer, key):
        params, state = layer.init(key, case.x)
        y, after = layer.apply(params, state, case.x, key=key, train=True)
        return params, y, after, layer.apply(params, after, case.x)[0]

    keys = jax.random.split(case.key, 2)
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf) * jnp.array([0.5, 1.0]), case.layer)
    together = jax.jit(jax.vmap(member))(batch, keys)
    program = jax.jit(member)
    alone = [program(jax.tree.map(lambda leaf, i=i: leaf[i], batch), keys[i]) for i in range(2)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    chex.assert_trees_all_close(together, stacked, rtol=1e-4, atol=1e-4)


@pytest.mark.full
def test_gradients_are_those_of_finite_differences(case, x64):
    """Along one direction of input and parameters at once, forward and reverse."""
    x = inputs(case.subject)
    params, state = case.layer.init(case.key, x)

    @jax.jit
    def loss(at):
        inputs = x if case.of_tokens else at[0]
        return jnp.sum(jnp.sin(case.layer.apply(at[1], state, inputs, key=case.key, train=True)[0]))

    at = (() if case.of_tokens else x, params)
    way = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape), at)
    _, forward = jax.jvp(loss, (at,), (way,))
    reverse = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, jax.jit(jax.grad(loss))(at), way)))
    ahead, behind = (loss(jax.tree.map(lambda a, w, h=h: a + h * w, at, way)) for h in (1e-7, -1e-7))
    np.testing.assert_allclose([forward, reverse], (ahead - behind) / 2e-7, rtol=1e-4, atol=1e-5)


@pytest.mark.full
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_outputs_and_gradients_are_finite_in_every_precision(case, dtype):
    x = jax.tree.map(lambda leaf: leaf.astype(dtype) if is_float(leaf) else leaf, case.x)

    def loss(params):
        y, after = case.layer.apply(params, case.state, x, key=case.key, train=True)
        return jnp.sum(y.astype(jnp.float32) ** 2), (y, after)

    grads, (y, after) = jax.jit(jax.grad(loss, has_aux=True))(case.params)
    assert y.dtype == (jnp.float32 if case.of_tokens else dtype)
    assert types((grads, after)) == types((case.params, case.state))
    chex.assert_tree_all_finite((y, after, grads))


@pytest.mark.full
def test_inputs_without_any_variation_have_finite_gradients(case):
    """Dead pixels, a batch of equal examples: variances of 0, ties in a maximum."""

    @jax.jit
    def gradient(x):
        def total(params, x):
            y, state = case.layer.apply(params, case.state, x, key=case.key, train=True)
            return jnp.sum(y * jnp.cos(jnp.arange(1.0, y.size + 1)).reshape(y.shape)), (y, state)

        return jax.grad(total, argnums=0 if case.of_tokens else (0, 1), has_aux=True)(case.params, x)

    def constant(value):
        return jax.tree.map(lambda leaf: np.full(leaf.shape, value, leaf.dtype), case.x)

    for value in (0.0, 0.5):
        for path, leaf in jax.tree.leaves_with_path(gradient(constant(value))):
            assert np.isfinite(leaf).all(), (value, jax.tree_util.keystr(path))

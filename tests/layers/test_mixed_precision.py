"""Policies of dtypes: what is computed in which, read from the lowered program; training under them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import (
    batch_norm,
    conv,
    dense,
    embedding,
    flatten,
    gru,
    layer_norm,
    mixed_precision,
    multi_head_attention,
    sequence_pool,
    serial,
)
from jaxopt_notes.layers.mixed_precision import cast_floats
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.optimizers import adam, dynamic_loss_scale, master_weights
from jaxopt_notes.training import Trainer
from tests.compiled import apply, grad, init

IMAGES = jax.ShapeDtypeStruct((4, 6, 6, 2), "float32")
TOKENS = jax.ShapeDtypeStruct((4, 5), "int32")
CNN = serial(conv(3), batch_norm(), jax.nn.relu, flatten(), dense(5), layer_norm(), dense(2))
READER = serial(embedding(7, 4), gru(4), multi_head_attention(4, 2), sequence_pool("mean"), dense(3))


def lowered(model, x):
    """Shapes of a training step, and the text of its forward pass, which is not compiled."""
    params, state = jax.eval_shape(model.init, jax.random.key(0), x)

    def loss(params):
        y, after = apply(model, params, state, x, train=True)
        return jnp.sum(y.astype(jnp.float32) ** 2), (y, after)

    x, state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (x, state))
    grads, (y, after) = jax.eval_shape(grad(loss, has_aux=True), params)
    text = jax.jit(loss).trace(params).lower(lowering_platforms=("tpu",)).as_text()
    return params, grads, state, after, y, text


def dtypes(tree):
    return {str(leaf.dtype) for leaf in jax.tree.leaves(tree)}


def operands(text, operation):
    """The dtypes that go into each operation of a kind, of arrays that are no scalars."""
    lines = [line for line in text.splitlines() if f"stablehlo.{operation}" in line]
    return {kind for line in lines for kind in re.findall(r"tensor<(?:\d+x)+(\w+)>", line.split(" -> ")[0])}


@pytest.mark.parametrize(("model", "x"), [(CNN, IMAGES), (READER, TOKENS)], ids=["images", "tokens"])
def test_products_are_narrow_and_all_else_is_float32(model, x):
    """Parameters, gradients, statistics and the answer are not narrowed."""
    params, grads, state, after, y, text = lowered(mixed_precision(model), x)
    assert dtypes(params) == dtypes(grads) == {"float32"}
    assert dtypes(state) == dtypes(after) <= {"float32"}
    assert y.dtype == jnp.float32
    assert operands(text, "dot_general") == {"bf16"}
    assert operands(text, "convolution") <= {"bf16"}
    assert operands(text, "rsqrt") <= {"f32"}
    assert operands(text, "exponential") <= {"f32"}
    assert operands(lowered(model, x)[-1], "dot_general") == {"f32"}  # the test can fail


def test_parameters_and_answers_have_the_dtypes_that_are_asked_for():
    """Statistics are float32 all the same; a policy within holds for its layer."""
    whole = serial(CNN, mixed_precision(dense(3), "float32", output_dtype="float16"))
    model = mixed_precision(whole, "float16", param_dtype="bfloat16")
    params, grads, state, after, y, text = lowered(model, IMAGES)
    assert dtypes(params) == dtypes(grads) == {"bfloat16"}
    assert dtypes(state) == dtypes(after) == {"float32"}
    assert y.dtype == jnp.float32  # as the images
    assert operands(text, "dot_general") == {"f16", "f32"}
    half = jax.ShapeDtypeStruct((4, 6, 6, 2), "float16")
    assert lowered(mixed_precision(CNN), half)[4].dtype == jnp.float16
    assert lowered(mixed_precision(CNN, output_dtype="bfloat16"), IMAGES)[4].dtype == jnp.bfloat16


def test_the_result_is_that_of_the_layer_to_the_precision():
    """The same draws; and in float32 the same numbers."""
    x = np.random.default_rng(0).normal(size=IMAGES.shape).astype(np.float32)

    @jax.jit
    def outputs(x):
        params, state = init(CNN, jax.random.key(0), x)
        again, kept = init(mixed_precision(CNN), jax.random.key(0), x)
        policies = [mixed_precision(CNN, kind) for kind in ("float32", "bfloat16")]
        exact, *others = (apply(layer, params, state, x)[0] for layer in (CNN, *policies))
        same = jax.tree.map(lambda a, b: jnp.all(a == b), (params, state), (again, kept))
        return same, exact, *others

    same, exact, wide, narrow = outputs(x)
    assert all(jax.tree.leaves(same))
    np.testing.assert_array_equal(wide, exact)
    error = np.abs(np.asarray(narrow) - np.asarray(exact)).max() / np.abs(np.asarray(exact)).max()
    assert 1e-4 < error < 3e-2  # 8 bits, some times over


@pytest.mark.full
def test_a_trainer_trains_under_a_policy():
    """float16 with a loss scale; bfloat16 parameters with float32 copies. Both follow float32 from afar."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8)).astype(np.float32)
    y = (x @ rng.normal(size=(8, 3))).argmax(1)
    model = serial(dense(16), batch_norm(), jnp.tanh, dense(3))
    runs = {
        "float32": (model, adam(0.02)),
        "float16": (mixed_precision(model, "float16"), dynamic_loss_scale(adam(0.02))),
        "bfloat16": (mixed_precision(model, param_dtype="bfloat16"), master_weights(adam(0.02))),
    }
    losses = {}
    for name, (layer, optimizer) in runs.items():
        trainer = Trainer(layer, optimizer, softmax_cross_entropy, batch_size=48)
        state = trainer.init(jax.random.key(0), (x, y))
        state, history = trainer.advance(state, (x, y), epochs=12)
        losses[name] = np.asarray(history["loss"])
        assert dtypes(state.learner.model_state) == {"float32"}
        assert dtypes(state.learner.params) == {"bfloat16" if name == "bfloat16" else "float32"}
    assert losses["float32"][-1] < 0.5 * losses["float32"][0]
    for name in ("float16", "bfloat16"):
        np.testing.assert_allclose(losses[name], losses["float32"], rtol=0.1, atol=0.02)


def test_a_dtype_that_is_none_is_named():
    for dtype in ("int8", "complex64", "nonsense"):
        with pytest.raises(
            ValueError, match=rf"mixed_precision\(compute_dtype\) is '{dtype}', expected a real"
        ):
            mixed_precision(dense(2), dtype)
    with pytest.raises(ValueError, match=r"mixed_precision\(param_dtype\)"):
        mixed_precision(dense(2), param_dtype="int8")
    with pytest.raises(TypeError, match=r"mixed_precision\(layer\) is 3"):
        mixed_precision(3)
    assert cast_floats({"n": jnp.arange(2)}, "bfloat16")["n"].dtype == jnp.int32

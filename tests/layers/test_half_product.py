"""Products in half precision: summed in float32, with gradients of half-precision factors."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import dense, mixed_precision, multi_head_attention, serial, unembedding
from jaxopt_notes.layers.dense import affine
from tests.compiled import apply, grad, value_and_grad


def factors(text):
    """Dtypes of the factors of every product of a lowered program."""
    lines = [line.split(" : (")[-1].split(" -> ")[0] for line in text.splitlines() if "dot_general" in line]
    return {kind for line in lines for kind in re.findall(r"x(bf16|f32)>", line)}


@pytest.mark.parametrize(
    "layer",
    [serial(dense(6), jnp.tanh, dense(2)), unembedding(7), multi_head_attention(4, 2)],
    ids=["dense", "unembedding", "attention"],
)
def test_products_of_a_gradient_are_narrow(layer):
    """But for two in attention: of the scores, whose gradient comes from a softmax in float32."""
    x = jax.ShapeDtypeStruct((2, 3, 4), "float32")
    model = mixed_precision(layer)
    params, _ = jax.eval_shape(model.init, jax.random.key(0), x)
    gradient = jax.jit(grad(lambda params, x: jnp.sum(apply(model, params, (), x)[0] ** 2), (0, 1)))
    text = gradient.trace(params, x).lower(lowering_platforms=("cuda",)).as_text()
    wide = [line for line in text.splitlines() if "dot_general" in line and factors(line) == {"f32"}]
    assert "bf16" in factors(text)
    assert len(wide) == (2 if hasattr(layer, "heads") else 0)


def test_values_and_derivatives_are_those_of_float32_to_the_precision():
    """Forward, reverse, and forward over reverse; where one factor moves, and where both do."""
    rng = np.random.default_rng(0)
    x, kernel, way = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 300), (300, 4), (300, 4)))

    @jax.jit
    def derivatives(x, kernel, way):
        def loss(x, kernel):
            return jnp.sum(jnp.sin(0.1 * affine(x, kernel).astype(jnp.float32)))

        reverse, second = jax.jvp(grad(loss, (0, 1)), (x, kernel), (jnp.zeros_like(x), way))
        forward = jax.jvp(lambda kernel: loss(x, kernel), (kernel,), (way,))
        by_both = jax.jvp(loss, (x, kernel), (x, way))
        return forward, by_both, reverse, second

    exact = derivatives(*(jnp.asarray(a).astype(jnp.bfloat16).astype(jnp.float32) for a in (x, kernel, way)))
    half = derivatives(*(jnp.asarray(a).astype(jnp.bfloat16) for a in (x, kernel, way)))
    assert {leaf.dtype for leaf in jax.tree.leaves(half[2:])} == {jnp.dtype("bfloat16")}
    for found, expected in zip(jax.tree.leaves(half), jax.tree.leaves(exact), strict=True):
        expected = np.asarray(expected)
        error = np.abs(np.asarray(found, np.float32) - expected).max()
        assert error < 0.03 * np.abs(expected).max()


def test_sums_are_float32():
    """4096 ones, of which bfloat16 sums lose most; the last product is of a gradient."""
    ones = jnp.ones((1, 4096), jnp.bfloat16)
    y, gradient = jax.jit(value_and_grad(lambda x, k: affine(x, k)[0, 0], 1))(ones, ones.T)
    assert float(y) == 4096
    assert np.asarray(gradient, np.float32).sum() == 4096

"""Embeddings: rows, gradients, tied weights, padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant, mup
from jaxopt_notes.layers import (
    dense,
    embedding,
    lstm,
    mask_padding,
    sequence_pool,
    serial,
    shared,
    unembedding,
)
from tests.compiled import apply, grad, init


def test_rows_and_their_gradients(x64):
    """A token that comes twice has the gradients of both places; out of the vocabulary is NaN."""
    rows = jnp.arange(8.0).reshape(4, 2)
    tokens = jnp.array([[3, 1], [1, 4]])
    weights = jnp.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [0.0, 0.0]]])

    def loss(params):
        y = apply(embedding(4, 2), params, (), tokens)[0]
        return jnp.sum(jnp.where(jnp.isnan(y), 0, y) * weights), y

    grads, y = grad(loss, has_aux=True)({"embedding": rows})
    np.testing.assert_array_equal(y, [[[6, 7], [2, 3]], [[2, 3], [np.nan, np.nan]]])
    np.testing.assert_array_equal(grads["embedding"], [[0, 0], [8, 10], [0, 0], [1, 2]])


def test_first_values_and_dtypes(key):
    tokens = jnp.zeros((2, 3), jnp.int32)
    params, state = init(embedding(2000, 25), key, tokens)
    assert (state, params["embedding"].shape) == ((), (2000, 25))
    assert abs(params["embedding"].std() - 0.2) < 4 * 0.2 / np.sqrt(2 * 50_000)
    half = embedding(5, 2, dtype=jnp.bfloat16, embedding_init=constant(0.5))
    params, _ = init(half, key, tokens)
    assert params["embedding"].dtype == jnp.float32
    y, _ = apply(half, params, (), tokens)
    assert (y.dtype, y.shape, (y == 0.5).all()) == (jnp.bfloat16, (2, 3, 2), True)


def test_tied_weights(x64, key):
    """One matrix; its gradient is that of looking up and that of multiplying."""
    model = serial(shared(embedding(4, 3), "tokens"), jnp.tanh, shared(unembedding(4), "tokens"))
    tokens = jnp.array([2, 0])
    params, _ = init(model, key, tokens)
    assert list(params) == ["tokens"]
    rows = np.asarray(params["tokens"]["embedding"])
    h = np.tanh(rows[np.array([2, 0])])
    y = apply(model, params, (), tokens)[0]
    np.testing.assert_allclose(y, h @ rows.T, rtol=1e-12)
    grads = grad(lambda params: apply(model, params, (), tokens)[0].sum())(params)["tokens"]["embedding"]
    by_lookup = np.zeros_like(rows)
    by_lookup[np.array([2, 0])] = (1 - h**2) * rows.sum(0)
    np.testing.assert_allclose(grads, by_lookup + h.sum(0), rtol=1e-12)


def test_half_precision_logits_are_summed_in_float32():
    y, _ = apply(unembedding(1), {"embedding": jnp.ones((1, 4096))}, (), jnp.ones((1, 4096), jnp.bfloat16))
    assert (y.dtype, y.item()) == (jnp.bfloat16, 4096)


@pytest.mark.parametrize(
    "last", [lstm(3, return_sequences=False), sequence_pool("mean"), sequence_pool("last")]
)
def test_padding_says_nothing(last, key):
    model = mask_padding(serial(embedding(9, 3), last), padding=7)
    short = jnp.array([[3, 5, 1]])
    long = jnp.array([[3, 5, 1, 7, 7], [7, 7, 3, 5, 1], [3, 7, 5, 7, 1]])

    @jax.jit
    def both(short, long):
        params, _ = init(model, key, jax.ShapeDtypeStruct((1, 3), jnp.int32))
        return apply(model, params, (), short)[0], apply(model, params, (), long)[0]

    alone, padded = both(short, long)
    np.testing.assert_allclose(padded, np.broadcast_to(alone, (3, 3)), rtol=1e-5)


def test_sequence_pool():
    x = jnp.array([[[1.0, -4.0], [3.0, -2.0], [8.0, 9.0]], [[5.0, 5.0]] * 3])
    mask = jnp.array([[True, True, False], [False] * 3])
    for kind, expected in (("mean", [2, -3]), ("max", [3, -2]), ("last", [3, -2])):
        y, _ = apply(sequence_pool(kind), {}, (), x, mask=mask)
        assert y.tolist() == [expected, [0, 0]]
    assert apply(sequence_pool("last"), {}, (), x)[0].tolist() == [[8, 9], [5, 5]]


def test_errors(key):
    with pytest.raises(TypeError, match=r"embedding\(x\) is float32\[2\], expected whole numbers"):
        init(embedding(3, 2), key, jnp.ones(2))
    with pytest.raises(ValueError, match=r"unembedding\(x\) has shape \(1, 3\).* 2 features"):
        apply(unembedding(5), {"embedding": jnp.ones((5, 2))}, (), jnp.ones((1, 3)))
    with pytest.raises(ValueError, match=r"sequence_pool\(kind\) is 'sum'"):
        sequence_pool("sum")


def test_in_wide_models_logits_are_divided_by_the_growth():
    """From 2 features to 8, with a matrix of its own or the embedding's: x·Eᵀ/4."""

    def untied(width, other):
        return serial(embedding(5, width), dense(other), unembedding(5))

    def tied(width):
        return serial(shared(embedding(5, width), "tokens"), shared(unembedding(5, scale=3.0), "tokens"))

    tokens = jnp.array([[3, 1]])
    wide = mup(tied(8), tied(2), tokens)
    assert (wide.rates("adam"), wide.rates("sgd")) == ({"tokens/embedding": 1}, {"tokens/embedding": 4})
    rates = mup(untied(8, 8), untied(2, 2), tokens).rates("adam")
    assert (rates["layers_1/kernel"], rates["layers_2/embedding"]) == (1 / 4, 1)
    rows = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    y, _ = apply(wide, {"tokens": {"embedding": jnp.asarray(rows)}}, (), tokens)
    np.testing.assert_allclose(y[0], 3 / 4 * rows[[3, 1]] @ rows.T, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"embeddings of 5 tokens .* to \[\(2, 4\), \(2, 8\)\]"):
        mup(untied(4, 8), untied(2, 2), tokens)

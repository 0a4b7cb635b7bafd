"""Attention: both forms against NumPy, groups, masks, dropped weights, rotary positions, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import mup
from jaxopt_notes.layers import attention, multi_head_attention, transformer_block
from tests.compiled import apply, compiled, init


def reference(q, k, v, seen):
    """In float64, head by head."""
    batch, _, heads, size = q.shape
    y = np.zeros(q.shape)
    for b in range(batch):
        for n in range(heads):
            group = n // (heads // k.shape[2])
            logits = q[b, :, n] @ k[b, :, group].T / np.sqrt(size)
            weights = np.exp(np.where(seen[b, 0], logits, -np.inf))
            y[b, :, n] = weights / weights.sum(-1, keepdims=True) @ v[b, :, group]
    return y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_formula(dtype, x64):
    """Four heads of queries in two groups, causal and with a mask; float32 and float64 take two ways."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 3, heads, 5)) for heads in (4, 2, 2))
    mask = np.ones((2, 1, 1, 3), bool)
    mask[1, ..., 1] = False
    tight = 1e-12 if dtype == "float64" else 1e-5

    @jax.jit
    def both(q, k, v):
        return attention(q, k, v, jnp.asarray(mask), causal=True), attention(q, k, v)

    for found, seen in zip(
        both(*(jnp.asarray(x, dtype) for x in (q, k, v))),
        (mask & np.tri(3, dtype=bool), np.ones((2, 1, 3, 3), bool)),
        strict=True,
    ):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, reference(q, k, v, seen), rtol=tight, atol=tight)


def test_dropped_weights(key):
    """Kept ones are scaled up: each is dropped with the rate, and the mean is what it was."""
    q, v = jnp.zeros((1, 1, 1, 1)), jnp.ones((1, 2000, 1, 1))
    k = jnp.zeros((1, 2000, 1, 1))
    draw = jax.jit(jax.vmap(lambda key: attention(q, k, v, rate=0.75, key=key)))
    y = draw(jax.random.split(key, 20)).ravel()
    one = np.sqrt(0.75 / 0.25 / 2000)
    assert abs(y.mean() - 1) < 5 * one / np.sqrt(20)
    assert 0.5 * one < y.std() < 2 * one
    layer = multi_head_attention(4, 2, dropout=0.5)
    x = jax.random.normal(key, (1, 6, 4))

    @jax.jit
    def run(key, x):
        params, _ = init(layer, key, x)
        draws = [apply(layer, params, (), x, key=jax.random.fold_in(key, i), train=True)[0] for i in (0, 1)]
        plain = apply(multi_head_attention(4, 2), params, (), x)[0]
        return params, draws, apply(layer, params, (), x, key=key)[0], plain

    params, (first, second), evaluated, plain = run(key, x)
    assert not np.isclose(first, second).all()
    np.testing.assert_allclose(evaluated, plain, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"multi_head_attention\(key\) is None"):
        apply(layer, params, (), x, train=True)


def test_what_may_be_seen(key):
    """Causal: nothing from later steps. Masks: nothing from padding, nor what a table of steps forbids."""
    x = jax.random.normal(key, (2, 4, 8))
    changed, mask, table = np.array(x), np.ones((2, 4), bool), np.ones((1, 1, 4, 4), bool)
    changed[:, 2] += 1
    mask[:, 2] = table[:, :, :3, 2] = False
    layers = [multi_head_attention(8, 2, causal=c, rotary_base=10.0) for c in (True, False, False, False)]
    params, _ = init(layers[0], key, x)

    @jax.jit
    def differences(x, changed):
        found = []
        for layer, extra in zip(layers, [{}, {"mask": mask}, {"attention_mask": table}, {}], strict=True):
            a, b = (apply(layer, params, (), each, **extra)[0] for each in (x, changed))
            found.append(jnp.abs(a - b).max((0, 2)) > 1e-5)
        return found

    causal, masked, by_table, free = (d.tolist() for d in differences(x, changed))
    assert causal == [False, False, True, True]
    assert masked == [False, False, True, False]  # its own query has changed
    assert by_table == [False, False, True, True]
    assert free == [True] * 4


def test_a_query_that_may_see_nothing_is_finite():
    q, v = np.ones((1, 2, 1, 1)), np.array([1.0, 3.0]).reshape(1, 2, 1, 1)
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            y = compiled(attention)(*(a.astype(dtype) for a in (q, q, v)), np.zeros((1, 1, 1, 2), bool))
            assert (y.dtype, np.ravel(y).tolist()) == (dtype, [2, 2])


def test_rotary_positions_make_a_layer_know_the_distance_alone(key):
    """What a sequence gives is the same at any place; without positions its order says nothing."""
    x = jax.random.normal(key, (1, 3, 8))
    padded = jnp.concatenate([jnp.zeros((1, 4, 8)), x], axis=1)
    mask = jnp.arange(7)[None] >= 4
    turned, plain = multi_head_attention(8, 2, rotary_base=100.0), multi_head_attention(8, 2)

    @jax.jit
    def run(x):
        params, _ = init(plain, key, x)
        moved = apply(turned, params, (), padded, mask=mask)[0][:, 4:]
        ways = [[apply(layer, params, (), at)[0] for at in (x, x[:, ::-1])] for layer in (turned, plain)]
        return moved, [(ahead, back[:, ::-1]) for ahead, back in ways]

    moved, ((at_first, back), (ahead, behind)) = run(x)
    np.testing.assert_allclose(moved, at_first, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(behind, ahead, rtol=1e-4, atol=1e-5)
    assert abs(back - at_first).max() > 1e-2


def test_shapes_of_groups_and_of_a_memory(key):
    x, memory = jnp.ones((2, 3, 5)), jax.ShapeDtypeStruct((2, 4, 7), jnp.float32)
    layer = multi_head_attention(8, 4, kv_heads=2, cross=True, use_bias=False)
    params, _ = init(layer, key, x, memory=memory)
    shapes = {name: leaf["kernel"].shape for name, leaf in params.items()}
    assert shapes == {"query": (5, 8), "key": (7, 4), "value": (7, 4), "out": (8, 8)}
    assert apply(layer, params, (), x, memory=jnp.ones((2, 4, 7)))[0].shape == (2, 3, 8)
    with pytest.raises(ValueError, match="is given no memory"):
        apply(layer, params, (), x)


def test_a_memory_has_its_own_mask(key):
    layer = transformer_block(4, 2, cross=True, causal=True)
    x, memory = jax.random.normal(key, (2, 3, 4)), jax.random.normal(key, (2, 5, 4))
    there = jnp.arange(5)[None] < jnp.array([[2], [5]])

    @jax.jit
    def both(x, memory):
        params, _ = init(layer, key, x, memory=memory)
        masked = apply(layer, params, (), x, memory=memory, memory_mask=there)[0]
        return masked[:1], apply(layer, params, (), x[:1], memory=memory[:1, :2])[0]

    masked, alone = both(x, memory)
    np.testing.assert_allclose(masked, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 8, "heads": 3}, r"\(heads\) is 3, expected a divisor of 8, the number of features"),
        ({"features": 8, "heads": 4, "kv_heads": 3}, r"\(kv_heads\) is 3, expected a divisor of 4"),
        ({"features": 8, "heads": 2, "dropout": 1.5}, r"\(dropout\) is 1.5"),
        ({"features": 8, "heads": 2, "cross": True, "rotary_base": 10}, r"expected None if cross=True"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        multi_head_attention(**arguments)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_wide_models_logits_are_divided_by_the_size_of_heads(dtype, x64):
    """Two heads of 2 that have grown to 8: q·k·√2/8, as 1/√2 was right for the narrow ones."""
    x = np.random.default_rng(0).normal(size=(1, 3, 4)).astype(dtype)
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    model = mup(multi_head_attention(16, 2), multi_head_attention(4, 2), shape).model
    params, _ = init(model, jax.random.key(0), shape)
    y, _ = apply(model, params, (), jnp.asarray(x))
    q, k, v = (x @ np.asarray(params[name]["kernel"]) for name in ("query", "key", "value"))
    joined = []
    for own in (slice(0, 8), slice(8, 16)):
        weights = np.exp(q[..., own] @ np.swapaxes(k[..., own], 1, 2) * 2**0.5 / 8)
        joined.append(weights / weights.sum(-1, keepdims=True) @ v[..., own])
    expected = np.concatenate(joined, -1) @ np.asarray(params["out"]["kernel"])
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)

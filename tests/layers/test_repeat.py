"""A block many times over: the same numbers as block by block, and the notes' facts on depth."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant
from jaxopt_notes.layers import batch_norm, dense, dropout, remat, repeat, residual, serial
from tests.compiled import apply, grad, init, value_and_grad


def test_is_the_serial_of_the_blocks(key):
    """Parameters, outputs, states, draws and gradients; from a shape, too; rematerialized, too."""
    block = serial(dense(2), batch_norm(), jnp.tanh, dropout(0.3))
    models = serial(*[block] * 3), repeat(block, 3, unroll=2), repeat(remat(block), 3)
    x = jax.random.normal(key, (5, 2))

    @jax.jit
    def run(key, x):
        found = []
        for model in models:
            params, state = init(model, key, jax.ShapeDtypeStruct(x.shape, x.dtype))

            def loss(params, model=model, state=state):
                y, after = apply(model, params, state, x, key=key, train=True)
                return jnp.sum(y**2), (y, after)

            grads, (y, after) = grad(loss, has_aux=True)(params)
            found.append((y, (params, state, after, grads)))
        return found

    (y, trees), *loops = run(key, x)
    blocks = [[tree[f"layers_{i}"] for i in range(3)] for tree in trees]
    expected = [{"layer": jax.tree.map(lambda *leaves: np.stack(leaves), *of)} for of in blocks]
    for found in loops:
        chex.assert_trees_all_close(found, (y, tuple(expected)), rtol=2e-4, atol=2e-5)


@pytest.mark.full
@pytest.mark.notes("S0-31", "S0-33", "S3-44")
def test_chains_explode_vanish_and_overflow(key):
    """Layers of gain g make gᵈ of 1: in numbers, and up to the depth at which each dtype overflows."""

    cases = [(1.5, 28, jnp.float16), (2.0, 16, jnp.float16), (2.0, 128, jnp.float32)]

    def depth(gain, n, dtype=jnp.float32):
        model = repeat(dense(1, use_bias=False, kernel_init=constant(gain)), n)
        x = jnp.ones((1, 1), dtype)
        return apply(model, *init(model, key, x), x)[0].astype(jnp.float32).item()

    np.testing.assert_allclose(depth(1.5, 100), 1.5**100, rtol=1e-5)
    np.testing.assert_allclose(depth(0.8, 100), 0.8**100, rtol=1e-5)
    np.testing.assert_allclose([1.5**100, 0.8**100], [4.0656e17, 2.0370e-10], rtol=1e-4)
    for gain, n, dtype in cases:
        assert np.isfinite(depth(gain, n - 1, dtype))
        assert depth(gain, n, dtype) == np.inf
    assert np.isfinite(depth(1.5, 28, jnp.bfloat16))


def test_other_arguments_and_keys_reach_every_block(key):
    class Scaled:
        def init(self, key, x):
            return {}, ()

        def apply(self, params, state, x, *, key=None, train=False, factor):
            return x * factor, state

    model = repeat(serial(Scaled()), 3)
    assert apply(model, {}, (), jnp.ones(2), factor=jnp.float32(3))[0].tolist() == [27, 27]
    kept = apply(repeat(dropout(0.5), 2), {}, (), jnp.ones((1, 4000)), key=key, train=True)[0] != 0
    assert abs(kept.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)  # a quarter gets through both


@pytest.mark.full
def test_a_population_trains_in_one_trace(key):
    """Dropout rates × seeds under nested vmap: each member is the one trained alone."""
    x, traces = jax.random.normal(key, (8, 3)), []

    def train(rate, seed):
        traces.append(rate)
        block = residual(serial(batch_norm(), jnp.tanh, dropout(rate), dense(3)))
        model = repeat(block, 2)
        params, state = init(model, seed, x)

        def step(carry, i):
            params, state = carry

            def loss(params):
                y, after = apply(model, params, state, x, key=jax.random.fold_in(seed, i), train=True)
                return jnp.mean((y - 1) ** 2), after

            (value, after), grads = value_and_grad(loss, has_aux=True)(params)
            return (jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), after), value

        (_, state), losses = jax.lax.scan(step, (params, state), jnp.arange(20))
        return losses, state

    rates, seeds = jnp.array([0.0, 0.6]), jax.random.split(key, 2)
    together = jax.jit(jax.vmap(jax.vmap(train, (None, 0)), (0, None)))(rates, seeds)
    assert len(traces) == 1
    alone = jax.jit(train)(rates[1], seeds[0])
    member = jax.tree.map(lambda leaf: leaf[1, 0], together)
    chex.assert_trees_all_close(member, alone, rtol=1e-3, atol=1e-4)
    losses = together[0]
    assert (losses[0, :, -1] < 0.5 * losses[0, :, 0]).all()
    assert not np.isclose(losses[0], losses[1], rtol=1e-2).all(-1).any()


def test_errors(key):
    model = repeat(dense(3), 2)
    with pytest.raises(ValueError, match=r"turns float32\[2, 4\] into float32\[2, 3\].*before or after"):
        apply(model, *init(model, key, jnp.ones((2, 4))), jnp.ones((2, 4)))
    with pytest.raises(ValueError, match=r"repeat\(times\) is 0"):
        repeat(dense(3), 0)

"""Moments of low precision: what is stored, that it is right on average, that training stays accurate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes as jn
from jaxopt_notes.optimizers import OPTIMIZERS
from jaxopt_notes.optimizers.core.moments import (
    BLOCK,
    decode,
    encode,
    moments,
    random_bits,
    read,
)
from tests.compiled import compiled, grad
from tests.optimizers.runs import loss_of

decode = compiled(decode)
encode = compiled(encode)
random_bits = compiled(random_bits)

LOW = ("bfloat16", "packed", "8bit")
HOLDERS = [name for name, factory in OPTIMIZERS.items() if hasattr(factory(), "state_dtype")]
# Parameters in a state and covariances of gradients are not moments of gradients: kept exactly.
EXACT = ("start", "z", "left", "right", "left_basis", "right_basis")
NOISY = {("dadapt_adam", "8bit"): 0.1}  # its rate has grown a millionfold within these steps: it oscillates
OF_MATRICES = ("muon", "soap")  # beside a gradient of low rank there is rounding alone, which they scale up


def draws(n=64, order=1, size=4096):
    """Numbers of many magnitudes, and what n stochastic roundings make of them, for each precision."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=size) * 10.0 ** rng.uniform(-3, 0, size)).astype(np.float32)
    x = np.square(x) if order == 2 else x
    return x, jnp.arange(1, n + 1, dtype=jnp.uint32)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("state_dtype", LOW)
def test_rounding_is_right_on_average(state_dtype, order):
    """The mean of n roundings comes as near as the standard error of their own spread allows."""
    x, seeds = draws(order=order)
    slot, *_ = moments(jnp.asarray(x), (order, 2) if state_dtype == "packed" else (order,), state_dtype)
    values = (jnp.asarray(x),) * (2 if state_dtype == "packed" else 1)
    rounded = jax.jit(jax.vmap(lambda s: decode(encode(values, slot.leaves, s))))
    found = np.stack([np.float64(part) for part in rounded(seeds)])
    error, spread = found.mean(axis=1) - x, found.std(axis=1)
    floor = np.abs(x).max() * 255.0**-4 if state_dtype == "8bit" and order == 2 else 0  # never 0
    assert np.abs(error).max() <= (6 * spread / np.sqrt(len(seeds)) + floor + 2.0**-9 * np.abs(x)).max()
    z = error / np.where(spread > 0, spread / np.sqrt(len(seeds)), np.inf)
    assert np.mean(np.abs(z) < 2) > 0.9  # as for a fair coin
    assert abs(np.mean(z)) < 0.1  # neither up nor down


@pytest.mark.parametrize("state_dtype", ["bfloat16", "packed"])
def test_a_rounded_number_is_one_of_its_two_neighbours(state_dtype):
    x, seeds = draws(n=8)
    slot, *_ = moments(jnp.asarray(x), (1, 1), state_dtype)
    values = (jnp.asarray(x),) * (2 if state_dtype == "packed" else 1)
    found = np.asarray(jax.jit(jax.vmap(lambda s: decode(encode(values, slot.leaves, s))[-1]))(seeds))
    assert np.all(found.astype(jnp.bfloat16).astype(np.float32) == found)
    assert np.all(np.abs(found - x) < 2.0**-7 * np.abs(x))
    exact = jnp.array([0.0, 1.0, -1.5, 2.0**-100, jnp.inf, -jnp.inf])
    slot, *_ = moments(exact, (1, 1), state_dtype)
    again = jax.jit(jax.vmap(lambda s: decode(encode((exact,) * len(values), slot.leaves, s))[0]))(seeds)
    np.testing.assert_array_equal(again, np.tile(exact, (len(seeds), 1)))
    slot, *_ = moments(jnp.zeros(1), (1, 1), state_dtype)
    nan = jnp.array([jnp.nan])
    again = jax.jit(lambda s: decode(encode((nan,) * len(values), slot.leaves, s))[0])(seeds[0])
    assert np.isnan(again).all()


def test_eight_bits_keep_signs_and_small_squares():
    x = jnp.concatenate([jnp.array([1.0, -1.0, 1e-3, -1e-3]), jnp.zeros(BLOCK * 20)])
    (slot,) = moments(x, (1,), "8bit")
    found = decode(encode((x,), slot.leaves, jnp.uint32(1)))[0]
    np.testing.assert_allclose(found[:2], x[:2])
    assert found.shape == x.shape
    assert not found[4:].any()
    (slot,) = moments(x, (2,), "8bit")
    found = decode(encode((x**2 * 1e-9,), slot.leaves, jnp.uint32(1)))[0]
    assert (found[:4] > 0).all()
    assert not found[4:].any()
    tiny = jnp.concatenate([jnp.ones(1), jnp.full(255, 1e-14), jnp.zeros(BLOCK * 20)])
    (slot,) = moments(tiny, (2,), "8bit")
    assert (decode(encode((tiny,), slot.leaves, jnp.uint32(1)))[0][:256] > 0).all()


def test_random_bits_are_uniform_and_differ_by_position_and_seed():
    bits = np.stack([random_bits((64, 33), jnp.uint32(seed)) for seed in range(50)])
    uniform = bits / 2.0**32
    assert abs(uniform.mean() - 0.5) < 4 / np.sqrt(12 * uniform.size)
    counts = np.bincount((bits >> 24).ravel(), minlength=256)
    expected = bits.size / 256
    assert ((counts - expected) ** 2 / expected).sum() < 256 + 6 * np.sqrt(2 * 256)  # chi squared
    flat = uniform.reshape(50, -1) - 0.5
    lags = [flat[1:] * flat[:-1], flat[:, 1:] * flat[:, :-1], flat[:, 33:] * flat[:, :-33]]
    assert all(abs(lag.mean()) < 5 / 12 / np.sqrt(lag.size) for lag in lags)


def test_no_two_entries_of_a_leaf_share_their_bits():
    assert len(np.unique(random_bits((64, 33), jnp.uint32(3)))) == 64 * 33
    assert len(np.unique(random_bits((8, 9, 10), jnp.uint32(3)))) == 8 * 9 * 10


def directions(values, like, seed):
    """Halfway between two neighbours, everything is rounded up (1) or down (−1), for each of the values."""
    rounded = decode(encode(values, like, seed))
    return [np.sign(np.float64(r) - np.float64(x)) for r, x in zip(rounded, values, strict=True)]


def test_both_moments_of_a_word_are_rounded_independently():
    halfway = jnp.full(4096, 1 + 2.0**-8)  # bfloat16 has 7 digits after the point
    slot, *_ = moments(halfway, (1, 2), "packed")
    first, second = directions((halfway, halfway), slot.leaves, jnp.uint32(7))
    assert set(np.abs([first, second]).ravel()) == {1.0}
    assert abs(np.mean(first * second)) < 5 / np.sqrt(4096)


def inexact_leaves(state):
    """Those of a state that may be rounded."""
    return [
        leaf
        for path, leaf in jax.tree.leaves_with_path(state)
        if not any(getattr(key, "name", None) in EXACT for key in path)
    ]


@pytest.mark.full
@pytest.mark.parametrize("state_dtype", LOW)
@pytest.mark.parametrize("name", HOLDERS)
def test_every_optimizer_that_holds_moments(name, state_dtype):
    """The state is as small as promised, and a run of 50 steps ends where the one in float32 ends."""
    factory = OPTIMIZERS[name]
    start = {
        "kernel": jnp.linspace(-1, 2, 4096).reshape(64, 64),
        "bias": jnp.linspace(1, 2, 5),
        "step": jnp.arange(2),
    }

    def run(optimizer):
        def body(carry, step):
            params, state = carry
            scale, key = 1 + 0.1 * jnp.sin(step), jax.random.key(step.astype(int))

            def gradient(p):
                noise = 3 * jax.random.normal(key, p.shape) if name in OF_MATRICES else jnp.zeros(p.shape)
                return p * scale.astype(p.dtype) + noise.astype(p.dtype)

            grads = jax.tree.map(gradient, params)
            updates, state = optimizer.update(grads, state, params, **loss_of(grads, params))
            return (jn.apply_updates(params, updates), state), None

        return lax.scan(body, (start, optimizer.init(start)), jnp.arange(50.0))[0]

    params, state = jax.jit(run)(factory(state_dtype=state_dtype))
    exact, exact_state = jax.jit(run)(factory())
    assert jax.tree.structure(params) == jax.tree.structure(exact)
    for a, b, p in zip(*map(jax.tree.leaves, (params, exact, start)), strict=True):
        moved = np.abs(np.float64(b) - np.float64(p)).mean()
        assert np.abs(np.float64(a) - np.float64(b)).mean() <= NOISY.get((name, state_dtype), 0.05) * moved
    kept, exactly = (sum(x.nbytes for x in inexact_leaves(s)) for s in (state, exact_state))
    assert kept < exactly * {"bfloat16": 0.52, "packed": 0.52, "8bit": 0.28}[state_dtype]


def test_a_step_that_is_not_accepted_keeps_the_words():
    optimizer = jn.skip_nonfinite(jn.adam(state_dtype="packed"))
    params = jnp.ones(8)
    update = jax.jit(optimizer.update)
    _, state = update(np.linspace(-1, 1, 8, dtype=np.float32), optimizer.init(params), params)
    updates, after = update(np.full(8, np.nan, np.float32), state, params)
    assert not np.any(updates)
    jax.tree.map(np.testing.assert_array_equal, after.inner, state.inner)


def test_complex_small_and_missing_leaves():
    tree = {
        "c": jnp.ones(3, jnp.complex64),
        "f16": jnp.ones(3, jnp.float16),
        "i": jnp.arange(2),
        "n": None,
        "e": jnp.zeros((0, 2)),
    }
    for state_dtype in LOW:
        optimizer = jn.adam(state_dtype=state_dtype)
        grads = {**tree, "i": jnp.zeros(2, int)}
        updates, state = jax.jit(lambda g, t, o=optimizer: o.update(g, o.init(t), t))(grads, tree)
        assert jax.tree.map(lambda x: x.dtype, updates) == jax.tree.map(lambda x: x.dtype, tree)
        first = read(state.mu)
        np.testing.assert_allclose(first["c"], 0.1 * np.ones(3), rtol=1e-6)  # complex leaves are kept exactly
        np.testing.assert_allclose(first["f16"], 0.1 * np.ones(3), rtol=2.0**-7)


def test_it_cannot_be_differentiated_and_says_so():
    def final(rate):
        optimizer, x = jn.adam(rate, state_dtype="bfloat16"), jnp.ones(3)
        state = optimizer.init(x)
        for _ in range(2):
            updates, state = optimizer.update(x, state, x)
            x = jn.apply_updates(x, updates)
        return x.sum()

    with pytest.raises(TypeError, match="state_dtype=None"):
        grad(final)(0.1)


def test_unknown_precision():
    with pytest.raises(ValueError, match="state_dtype"):
        jn.adam(state_dtype="float8")
    assert jn.adam(state_dtype=jnp.bfloat16).state_dtype == "bfloat16"


def nearest(x):
    """Rounded to nearest, as a cast does it."""
    return x.astype(jnp.bfloat16).astype(jnp.float32)


def test_rounding_to_nearest_stalls_where_ours_does_not():
    """Squared gradients double; b2 = 0.999 moves the second moment by less than half a unit a step."""
    params, steps = jnp.zeros(512), 3000
    optimizer = jn.adam(state_dtype="bfloat16")

    def body(carry, _):
        state, stalled = carry
        _, state = optimizer.update(jnp.full(512, jnp.sqrt(2.0)), state, params)
        return (state, nearest(0.999 * stalled + 0.001 * 2.0)), None

    start = optimizer.init(params)
    (ones,) = jax.tree.leaves(start.nu.leaves)
    start = start._replace(nu=type(start.nu)(jnp.ones_like(ones), start.nu.step))
    (state, stalled), _ = lax.scan(body, (start, jnp.ones(())), length=steps)
    expected = 2 - 0.999**steps
    assert stalled == 1  # it never moved
    np.testing.assert_allclose(np.mean(read(state.nu)), expected, rtol=0.01)

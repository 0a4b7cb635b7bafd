"""What no paper mentions: odd trees, odd dtypes, odd numbers, and the parts that deal with them.

Every optimizer with its own numbers is in `tests/properties`; here are the forms that have others.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import (
    OPTIMIZERS,
    adagrad,
    adam,
    adamw,
    apply_updates,
    momentum,
    rmsprop,
    sgd,
)
from jaxopt_notes.optimizers.leafwise import bias_correction, increment, leafwise
from tests.optimizers.runs import follow, loss_of

VARIANTS = {
    "adagrad, inside": functools.partial(adagrad, eps_in_sqrt=True),
    "adagrad, no eps": functools.partial(adagrad, eps=0.0),
    "rmsprop, outside": functools.partial(rmsprop, eps_in_sqrt=False),
    "rmsprop, centered": functools.partial(rmsprop, centered=True, bias_correction=True),
    "rmsprop, centered, no eps": functools.partial(rmsprop, eps=0.0, centered=True),
    "rmsprop, nesterov": functools.partial(rmsprop, momentum=0.9, nesterov=True),
    "momentum, outside": functools.partial(momentum, rate_outside=True),
    "adam, no eps": functools.partial(adam, eps=0.0),
    "adamw, all": functools.partial(adamw, mask=None),
}


@jax.jit
def steps(transform, params, grads):
    """The parameters and the state after three steps with the same gradients."""
    state = transform.init(params)
    for _ in range(3):
        updates, state = transform.update(grads, state, params, **loss_of(grads, params))
        params = apply_updates(params, updates)
    return params, state


def kinds(tree):
    """Shapes, dtypes and weak types."""
    return jax.tree.map(lambda x: (jnp.shape(x), jnp.asarray(x).dtype, jnp.asarray(x).weak_type), tree)


# Trees


@pytest.mark.notes("S2-89")
@pytest.mark.parametrize("name", VARIANTS)
def test_structure_shape_and_dtype_are_kept(name):
    """Of the updates, and of the state from its start on; nothing is moved between leaves."""
    transform = VARIANTS[name]()
    params = {
        "half": [jnp.ones((2, 3), jnp.float16), jnp.ones((2, 1), jnp.bfloat16)],
        "single": (jnp.ones((2, 2)), jnp.array(1.0, jnp.float32)),
        "complex": jnp.ones((1, 2), jnp.complex64),
        "nothing": jnp.ones((0, 3)),
        "absent": None,
    }
    grads = jax.tree.map(lambda p: (0.5 * p).astype(p.dtype), params)
    state = transform.init(params)
    update = jax.jit(lambda *arguments: transform.update(*arguments, **loss_of(grads, params)))
    updates, after = update(grads, state, params)
    assert kinds(updates) == kinds(params)
    assert kinds(after) == kinds(state)
    assert all(np.isfinite(np.asarray(u).astype(complex)).all() for u in jax.tree.leaves(updates))


def test_integers_are_left_alone_without_parameters():
    grads = {"w": jnp.ones(2), "n": jnp.array(7), "f": np.zeros((), jax.dtypes.float0)}
    updates, _ = sgd(0.1).update(grads, sgd(0.1).init(grads))
    assert int(updates["n"]) == 0
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-6)


# Dtypes


@pytest.mark.parametrize("name", [*OPTIMIZERS, *VARIANTS])
def test_zero_gradients_are_no_nan(name):
    """ε = 1e-8 is 0 in float16, and 0/0 waits in every denominator."""
    params = [jnp.ones((2, 2), dtype) for dtype in (jnp.float16, jnp.bfloat16, jnp.float32)]
    new, state = jax.device_get(
        steps((OPTIMIZERS | VARIANTS)[name](), params, jax.tree.map(jnp.zeros_like, params))
    )
    assert [leaf.dtype for leaf in new] == [leaf.dtype for leaf in params]
    assert all(np.isfinite(leaf.astype(float)).all() for leaf in jax.tree.leaves((new, state)))
    for leaf in new:
        np.testing.assert_allclose(leaf.astype(float), 1, rtol=1e-2)


def test_hyperparameters_keep_their_meaning_in_low_precision():
    """0.999 is 1 in bfloat16: β₂ stays 0.999 with bfloat16 parameters, and is refused as bfloat16."""
    grads = jnp.full((1000, 2), 0.5, jnp.bfloat16)
    _, states = follow(adam(1e-3), jnp.ones(2, jnp.bfloat16), grads)
    np.testing.assert_allclose(states.nu[-1], 0.25 * (1 - 0.999**1000), rtol=1e-4)
    with pytest.raises(ValueError, match=r"adam\(b2\) is 1"):
        adam(b2=jnp.array(0.999, jnp.bfloat16))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float64_rates_leave_float32_parameters_alone(name):
    """np.float64 is a strong type that would widen whatever it meets, were it let."""
    params, grads = jnp.ones((2, 2)), jnp.full((2, 2), 0.3)
    with jax.enable_x64(True):
        optimizer = OPTIMIZERS[name](np.float64(0.1))
        new, state = steps(optimizer, params, grads)
        assert new.dtype == jnp.float32
        assert kinds(state) == kinds(optimizer.init(params))
        np.testing.assert_allclose(new, steps(OPTIMIZERS[name](0.1), params, grads)[0], rtol=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_complex_parameters_move_with_the_phase_of_their_gradients(name, x64):
    """|g|² and not g² stands in every denominator: turning all gradients turns all updates."""
    optimizer = VARIANTS[name](0.1)
    grads = np.random.default_rng(0).normal(size=(6, 3, 2))
    real, _ = follow(optimizer, jnp.zeros((3, 2)), grads)
    turn = np.exp(0.7j)
    turned, states = follow(optimizer, jnp.zeros((3, 2), complex), grads * turn)
    assert turned.dtype == np.complex128
    np.testing.assert_allclose(turned, np.asarray(real) * turn, rtol=1e-10, atol=1e-14)
    if name.startswith("adam"):
        assert states.nu.dtype == np.float64


# Gradients through training


def two_steps(optimizer, params):
    """A loss after two steps of training on it; the second and third parameters are at their minimum."""

    def loss(params):
        return jnp.sum(params["w"][0, :1] ** 2) + jnp.sum(params["w"][1] ** 4) + jnp.sum(params["b"] ** 2)

    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(jax.grad(loss)(params), state, params, value_fn=loss)
        params = apply_updates(params, updates)
    return loss(params)


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_reach_every_number_where_entries_are_zero(name):
    """With respect to the parameters and to every hyperparameter, none of them NaN or infinite."""
    optimizer = jax.tree.map(jnp.float32, VARIANTS[name]())  # whole numbers too
    params = {"w": jnp.array([[0.7, -0.3], [0.0, 0.5]]), "b": jnp.zeros(2)}
    value, found = jax.jit(jax.value_and_grad(two_steps, argnums=(0, 1)))(optimizer, params)
    assert np.isfinite(value)
    for path, leaf in jax.tree.leaves_with_path(found):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)
    assert found[1]["w"][0, 0] != 0, "the gradient does reach the start"


# The parts


def test_leafwise_leaves_out_what_the_mask_does():
    def double(g, p, s, *, factor, store):
        return factor * g, store(s, s + 1)

    g = {"a": jnp.ones(2), "b": jnp.ones(2)}
    slots = {"a": jnp.zeros(2), "b": jnp.zeros(2)}
    updates, new = leafwise(double, g, None, slots, mask={"a": True, "b": False}, factor=2.0)
    np.testing.assert_array_equal([updates["a"], updates["b"]], [[2, 2], [1, 1]])
    np.testing.assert_array_equal([new["a"], new["b"]], [[1, 1], [0, 0]])


def test_the_count_saturates():
    """A run of more than 2³¹ steps must not start again at a negative one."""
    top = jnp.array(np.iinfo(np.int32).max, jnp.int32)
    assert int(increment(top)) == int(top)
    assert int(increment(top - 1)) == int(top)
    assert int(increment(top - 1, jnp.array(False))) == int(top) - 1


@pytest.mark.notes("S2-51")
def test_bias_correction(x64):
    """1 − βᵗ; where that is 0, at t = 0 or for β = 1, it is 1."""
    seen = {(0.9, 1): 0.1, (0.999, 10): 1 - 0.999**10, (0.0, 1): 1.0, (0.9, 0): 1.0, (1.0, 5): 1.0}
    for (decay, count), expected in seen.items():
        np.testing.assert_allclose(bias_correction(decay, jnp.array(count)), expected, rtol=1e-12)
    for decay in (0.0, 0.5, 1.0):
        for count in (0, 1, 2):
            assert np.isfinite(jax.grad(bias_correction)(decay, jnp.array(count)))

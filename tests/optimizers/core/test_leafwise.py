"""What no paper mentions: odd trees, odd dtypes, odd numbers, for every optimizer and transform."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import (
    OPTIMIZERS,
    TRANSFORMS,
    DoG,
    adagrad,
    adam,
    adamw,
    apply_updates,
    momentum,
    rmsprop,
    sgd,
)
from jaxopt_notes.optimizers.core.leafwise import PerLeaf, bias_correction, increment, leafwise
from jaxopt_notes.optimizers.core.moments import moments, read
from tests.optimizers.runs import follow, loss_of
from tests.properties.registry import RANDOM

# Those with whole numbers or keys among their leaves are in tests/properties, which tells them apart.
WHOLE = {"add_noise", "reduce_on_plateau"}
EVERY = {name: make for name, make in (OPTIMIZERS | TRANSFORMS).items() if name not in WHOLE}
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


@pytest.fixture(params=EVERY)
def transform(request):
    return EVERY[request.param]()


def eager_steps(transform, params, grads):
    """The parameters and the state after three steps with the same gradients."""
    state = transform.init(params)
    for _ in range(3):
        updates, state = transform.update(grads, state, params, **loss_of(grads, params))
        params = apply_updates(params, updates)
    return params, state


steps = jax.jit(eager_steps)


def kinds(tree):
    """Shapes, dtypes and weak types."""
    return jax.tree.map(lambda x: (jnp.shape(x), jnp.asarray(x).dtype, jnp.asarray(x).weak_type), tree)


def test_no_slot_is_rounded_as_another_one_or_as_in_another_step():
    """Two slots over three steps: six patterns of ups and downs, of which no two go together."""
    halfway = jnp.full(4096, 1 + 2.0**-8)

    def keep(g, p, m, n, *, store):
        return g, store(m, halfway), store(n, halfway)

    slots, found = moments(halfway, (1, 1), "bfloat16"), []
    for _ in range(3):
        _, *slots = leafwise(keep, halfway, None, *slots)
        found += [np.sign(np.float64(read(slot)) - np.float64(halfway)) for slot in slots]
    together = np.corrcoef(found) - np.eye(6)
    assert np.abs(together).max() < 5 / np.sqrt(4096)


# Trees


@pytest.mark.notes("S2-89")
def test_structure_shape_and_dtype_are_kept(transform):
    """Of the updates, and of the state from its start on; nothing is moved between leaves."""
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


@pytest.mark.parametrize("params", [{}, [], (), {"a": {}}], ids=str)
def test_empty_trees(transform, params):
    updates, _ = transform.update(params, transform.init(params), params, **loss_of(params, params))
    assert updates == params


def test_missing_gradients(transform):
    """A leaf without a gradient is not moved, and another one does not notice."""
    params = {"w": jnp.ones((2, 2)), "frozen": jnp.ones((2, 2))}
    new, _ = steps(transform, params, {"w": jnp.full((2, 2), 0.3), "frozen": None})
    if isinstance(transform, DoG):
        return  # its first step is a share of the norm of all parameters
    alone, _ = steps(transform, {"w": params["w"]}, {"w": jnp.full((2, 2), 0.3)})
    np.testing.assert_array_equal(new["frozen"], 1)
    np.testing.assert_array_equal(new["w"], alone["w"])


def test_integers_and_booleans_are_left_alone(transform):
    """Their gradients are of dtype float0, as `jax.grad(..., allow_int=True)` gives them."""

    def loss(params):
        return jnp.sum(params["w"] ** 2) * params["n"].astype(float)

    params = {"w": jnp.ones((2, 2)), "n": jnp.array(3), "flag": jnp.array([True, False])}
    grads = jax.grad(loss, allow_int=True)(params)
    new, _ = eager_steps(transform, params, grads)
    assert int(new["n"]) == 3
    np.testing.assert_array_equal(new["flag"], [True, False])
    assert new["n"].dtype == params["n"].dtype


def test_integers_are_left_alone_without_parameters():
    grads = {"w": jnp.ones(2), "n": jnp.array(7), "f": np.zeros((), jax.dtypes.float0)}
    updates, _ = sgd(0.1).update(grads, sgd(0.1).init(grads))
    assert int(updates["n"]) == 0
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-6)


def test_numpy_arrays_and_python_numbers(transform):
    """They move as JAX arrays do; a Python number comes back weakly typed, so a loop traces once."""
    start = {"w": np.full((2, 2), 0.7, np.float32), "s": 0.7}
    grads = {"w": np.full((2, 2), 0.3, np.float32), "s": 0.3}
    new, _ = eager_steps(transform, start, grads)
    as_jax, _ = eager_steps(transform, jax.tree.map(jnp.asarray, start), jax.tree.map(jnp.asarray, grads))
    jax.tree.map(np.testing.assert_array_equal, new, as_jax)
    assert new["s"].weak_type
    assert new["w"].dtype == np.float32


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


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hyperparameters_in_bfloat16_compute_in_float32(name):
    """An array of bfloat16 as a hyperparameter means its value, not its precision."""
    rate = jnp.array(0.1, jnp.bfloat16)
    params, grads = jnp.ones((2, 2)), jnp.full((2, 2), 0.3)
    found, _ = steps(OPTIMIZERS[name](rate), params, grads)
    expected, _ = steps(OPTIMIZERS[name](float(rate)), params, grads)
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, expected)


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
    for enabled in (False, True):
        with jax.enable_x64(enabled):
            optimizer = OPTIMIZERS[name](np.float64(0.1))
            new, state = steps(optimizer, params, grads)
            assert new.dtype == jnp.float32
            assert kinds(state) == kinds(optimizer.init(params))
            np.testing.assert_allclose(new, steps(OPTIMIZERS[name](0.1), params, grads)[0], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in [*OPTIMIZERS, *VARIANTS] if name not in RANDOM])
def test_complex_parameters_move_with_the_phase_of_their_gradients(name, x64):
    """|g|² and not g² stands in every denominator: turning all gradients turns all updates."""
    optimizer = (OPTIMIZERS | VARIANTS)[name](0.1)
    grads = np.random.default_rng(0).normal(size=(6, 3, 2))
    real, _ = follow(optimizer, jnp.zeros((3, 2)), grads)
    turn = np.exp(0.7j)
    turned, states = follow(optimizer, jnp.zeros((3, 2), complex), grads * turn)
    assert turned.dtype == np.complex128
    np.testing.assert_allclose(turned, np.asarray(real) * turn, rtol=1e-10, atol=1e-14)
    if name == "adam":
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


@pytest.mark.parametrize("name", [*EVERY, *VARIANTS])
def test_gradients_reach_every_number_where_entries_are_zero(name):
    """With respect to the parameters and to every hyperparameter, none of them NaN or infinite."""
    optimizer = jax.tree.map(jnp.float32, (EVERY | VARIANTS)[name]())  # whole numbers too
    params = {"w": jnp.array([[0.7, -0.3], [0.0, 0.5]]), "b": jnp.zeros(2)}
    value, found = jax.jit(jax.value_and_grad(two_steps, argnums=(0, 1)))(optimizer, params)
    assert np.isfinite(value)
    for path, leaf in jax.tree.leaves_with_path(found):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)
    assert found[1]["w"][0, 0] != 0, "the gradient does reach the start"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradient_with_respect_to_the_rate_is_right(name, x64):
    params = {"w": jnp.array([[0.7, -0.3], [0.2, 0.5]]), "b": jnp.ones(2)}
    end = jax.jit(lambda rate: two_steps(OPTIMIZERS[name](rate), params))
    difference = (end(0.1 + 1e-6) - end(0.1 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(end)(0.1), difference, rtol=1e-5, atol=1e-9)


# Steps that are not accepted


def test_a_step_not_accepted_is_no_step(transform):
    """Whatever is in its gradients."""
    params = {"w": jnp.ones((2, 2)), "b": jnp.ones(3)}
    grads = {"w": jnp.full((2, 2), jnp.nan), "b": jnp.full(3, jnp.inf)}
    _, state = steps(transform, params, jax.tree.map(lambda p: 0.1 * p, params))
    extra = {"accept": jnp.array(False), **loss_of(grads, params)}
    updates, after = jax.jit(lambda t, *arguments: t.update(*arguments, **extra))(
        transform, grads, state, params
    )
    assert not any(np.asarray(u).any() for u in jax.tree.leaves(updates))
    jax.tree.map(np.testing.assert_array_equal, after, state)


# The parts


def test_leafwise_leaves_out_what_the_mask_does():
    def double(g, p, s, *, factor, store):
        return factor * g, store(s, s + 1)

    g = {"a": jnp.ones(2), "b": jnp.ones(2)}
    slots = {"a": jnp.zeros(2), "b": jnp.zeros(2)}
    updates, new = leafwise(double, g, None, slots, mask={"a": True, "b": False}, factor=2.0)
    np.testing.assert_array_equal([updates["a"], updates["b"]], [[2, 2], [1, 1]])
    np.testing.assert_array_equal([new["a"], new["b"]], [[1, 1], [0, 0]])


def test_numbers_may_be_trees_and_options_are_structure():
    def formula(g, p, *, weights, signs, reverse):
        scale = weights["a"] + 10 * weights["b"][1]
        assert isinstance(reverse, str)
        return scale * (-g if reverse == "yes" else g) * signs

    grads = {"u": jnp.ones(2), "v": jnp.ones(2)}
    numbers = {
        "weights": {"a": 3.0, "b": (1.0, 2.0)},
        "signs": PerLeaf({"u": 1.0, "v": jnp.array([1.0, -1.0])}),
    }
    for reverse, sign in (("no", 1), ("yes", -1)):
        step = lambda n, r=reverse: leafwise(formula, grads, None, options={"reverse": r}, **n)  # noqa: E731
        (found,) = jax.jit(step)(numbers)
        np.testing.assert_array_equal(found["u"], [23 * sign, 23 * sign])
        np.testing.assert_array_equal(found["v"], [23 * sign, -23 * sign])


def not_stored(g, p, m, v, *, store):
    store(m, m + g)
    return g, m + g, store(v, v)


def stored_and_changed(g, p, m, v, *, store):
    return g, 2 * store(m, m + g), store(v, v)


def of_another_old_slot(g, p, m, v, *, store):
    return g, store(0.5 * m, m + g), store(v, v)


def one_too_few(g, p, m, v, *, store):
    return g, store(m, m + g)


@pytest.mark.parametrize("formula", [not_stored, stored_and_changed, of_another_old_slot, one_too_few])
@pytest.mark.parametrize("state_dtype", [None, "bfloat16", "packed"])
def test_a_formula_that_does_not_store_its_slots_is_named(formula, state_dtype):
    """With `accept` it would move a state that has to stay; read back from low precision, it cannot be."""
    if formula is of_another_old_slot and state_dtype is None:
        return  # what is stored need not be of the old slot's dtype, for Rprop's signs in a byte
    params = jnp.ones(4)
    slots = moments(params, (1, 2), state_dtype)
    with pytest.raises(TypeError, match=rf"{formula.__name__} breaks the rule .* store\(old, new\)"):
        leafwise(formula, params, params, *slots)


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

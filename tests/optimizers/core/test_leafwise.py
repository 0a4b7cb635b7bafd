"""The mechanism under the update rules: masks, counts, bias corrections, and divisions without an ε.

What every rule promises on odd trees, dtypes and numbers is in `tests/properties`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import adagrad, adam, apply_updates, rmsprop, sgd
from jaxopt_notes.optimizers.core.leafwise import PerLeaf, bias_correction, increment, leafwise
from jaxopt_notes.optimizers.core.moments import moments, read
from tests.optimizers.runs import follow


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
    for accept, steps in ((False, 3), (True, 4)):  # a step not accepted draws nothing
        _, *after = leafwise(keep, halfway, None, *slots, accept=jnp.array(accept))
        assert [int(slot.step) for slot in after] == [steps] * 2


def test_integers_are_left_alone_without_parameters():
    grads = {"w": jnp.ones(2), "n": jnp.array(7), "f": np.zeros((), jax.dtypes.float0)}
    updates, _ = sgd(0.1).update(grads, sgd(0.1).init(grads))
    assert int(updates["n"]) == 0
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-6)


def test_hyperparameters_keep_their_meaning_in_low_precision():
    """0.999 is 1 in bfloat16: β₂ stays 0.999 with bfloat16 parameters, and is refused as bfloat16."""
    grads = jnp.full((1000, 2), 0.5, jnp.bfloat16)
    _, states = follow(adam(1e-3), jnp.ones(2, jnp.bfloat16), grads)
    np.testing.assert_allclose(states.nu[-1], 0.25 * (1 - 0.999**1000), rtol=1e-4)
    with pytest.raises(ValueError, match=r"adam\(b2\) is 1"):
        adam(b2=jnp.array(0.999, jnp.bfloat16))


@pytest.mark.parametrize(
    "optimizer",
    [adagrad(eps=0.0), rmsprop(eps=0.0, centered=True), adam(eps=0.0)],
    ids=["adagrad", "rmsprop", "adam"],
)
def test_zero_gradients_without_an_eps_move_nothing(optimizer):
    """0/0 waits in every denominator."""
    params = [jnp.ones((2, 2), dtype) for dtype in (jnp.float16, jnp.bfloat16, jnp.float32)]
    update = jax.jit(lambda optimizer, *arguments: optimizer.update(*arguments))
    grads, state, new = jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params
    for _ in range(3):
        updates, state = update(optimizer, grads, state, new)
        new = apply_updates(new, updates)
    jax.tree.map(np.testing.assert_array_equal, new, params)
    assert all(np.isfinite(np.asarray(leaf, float)).all() for leaf in jax.tree.leaves(state))


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

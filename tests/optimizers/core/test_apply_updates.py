"""Adding updates: dtypes stay, integers stay, and a sum is rounded once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.core.apply_updates import apply_updates


def test_adds_leaf_by_leaf(x64):
    rng = np.random.default_rng(0)
    params, updates = ({"a": rng.normal(size=3), "b": [rng.normal(size=(2, 2))]} for _ in range(2))
    jax.tree.map(
        np.testing.assert_array_equal, apply_updates(params, updates), jax.tree.map(np.add, params, updates)
    )


@pytest.mark.notes("S2-89")
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.complex64])
def test_parameters_keep_their_dtype(dtype):
    for update_dtype in (jnp.float32, jnp.bfloat16):
        new = apply_updates(jnp.ones(2, dtype), jnp.ones(2, update_dtype))
        assert new.dtype == dtype
        np.testing.assert_array_equal(new.astype(jnp.complex64), 2)


def test_the_sum_is_rounded_once():
    """After 1 comes 1 + 2/256 in bfloat16; 1/256 is a tie, and a little more is rounded up."""
    update = jnp.array(1 / 256 + 1e-6, jnp.float32)
    assert float(apply_updates(jnp.array(1.0, jnp.bfloat16), update)) == 1.0078125
    assert float(apply_updates(jnp.array(1.0, jnp.bfloat16), update.astype(jnp.bfloat16))) == 1.0


def test_missing_updates_and_integers_change_nothing():
    params = {"w": jnp.ones(2), "n": jnp.array(3), "flag": jnp.array(True), "frozen": jnp.ones(1)}
    updates = {"w": jnp.ones(2), "n": jnp.array(5), "flag": jnp.array(True), "frozen": None}
    new = apply_updates(params, updates)
    np.testing.assert_array_equal(new["w"], 2)
    assert int(new["n"]) == 3
    assert bool(new["flag"]) is True
    np.testing.assert_array_equal(new["frozen"], 1)


def test_python_numbers_stay_weakly_typed():
    new = apply_updates(1.0, jnp.array(0.5))
    assert new.weak_type
    assert float(new) == 1.5


def test_empty_trees_and_leaves():
    assert apply_updates({}, {}) == {}
    assert apply_updates({"w": jnp.zeros((0, 3))}, {"w": jnp.zeros((0, 3))})["w"].shape == (0, 3)

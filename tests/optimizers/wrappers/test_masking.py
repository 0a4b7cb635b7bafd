"""Optimizers for some of the leaves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.masks import where_path
from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.core.chain import chain
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.nesterov import nesterov
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.optimizers.wrappers.masking import masked
from jaxopt_notes.optimizers.wrappers.skip_nonfinite import skip_nonfinite
from tests.optimizers.runs import STEPS, follow, random_grads, random_params

KERNEL = {"kernel": True, "bias": False}


@pytest.mark.parametrize(
    "mask",
    [KERNEL, where_path(lambda name, leaf: name == "kernel"), "default"],
    ids=["tree", "path", "default"],
)
def test_moves_what_is_selected_and_nothing_else(mask, x64):
    params, grads = random_params(), random_grads()
    wrapped = masked(adam(0.1)) if mask == "default" else masked(adam(0.1), mask)
    path, _ = follow(wrapped, params, grads)
    alone, _ = follow(adam(0.1), params["kernel"], grads["kernel"])
    np.testing.assert_array_equal(path["kernel"], alone)
    np.testing.assert_array_equal(path["bias"], np.tile(params["bias"], (STEPS, 1)))


def test_no_mask_selects_everything(x64):
    params, grads = random_params(), random_grads()
    for a, b in zip(
        jax.tree.leaves(follow(masked(adam(0.1), None), params, grads)[0]),
        jax.tree.leaves(follow(adam(0.1), params, grads)[0]),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_holds_no_state_for_the_others():
    state = masked(adam(), KERNEL).init({"kernel": jnp.ones((2, 2)), "bias": jnp.ones(7)})
    assert sorted(leaf.shape for leaf in jax.tree.leaves(state)) == [(), (2, 2), (2, 2)]


def test_raw_gradients_for_a_later_part_of_a_chain(x64):
    """Two optimizers for two groups: each leaf is moved by its own."""
    other = jax.tree.map(lambda keep: not keep, KERNEL)
    both = chain(masked(adam(0.1), KERNEL, outside="raw"), masked(sgd(0.5), other, outside="raw"))
    params, grads = random_params(), random_grads()
    path, _ = follow(both, params, grads)
    for name, optimizer in {"kernel": adam(0.1), "bias": sgd(0.5)}.items():
        np.testing.assert_array_equal(path[name], follow(optimizer, params[name], grads[name])[0])


@pytest.mark.parametrize("outside", ["zero", "raw"])
def test_a_step_not_taken_leaves_everything_as_it_was(outside):
    optimizer = skip_nonfinite(masked(sgd(0.1), KERNEL, outside=outside))
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    grads = {"kernel": jnp.ones((2, 2)), "bias": jnp.array([jnp.nan, 1.0])}
    updates, state = optimizer.update(grads, optimizer.init(params), params)
    assert not any(leaf.any() for leaf in jax.tree.leaves(updates))
    assert int(state.skipped) == 1


def test_evaluation_params_reach_through(x64):
    """Nesterov's iterate for the leaves that it moves, the others as they are."""
    params, grads = random_params(), random_grads()
    optimizer = masked(nesterov(0.1, 0.9), KERNEL)
    path, states = follow(optimizer, params, grads)
    found = jax.vmap(lambda p, s: evaluation_params(optimizer, p, s))(path, states)
    velocity = np.zeros((3, 2))
    for g in grads["kernel"]:
        velocity = 0.9 * velocity + 0.1 * g
    np.testing.assert_allclose(found["kernel"][-1], path["kernel"][-1] + 0.9 * velocity, rtol=1e-12)
    np.testing.assert_array_equal(found["bias"], path["bias"])


def test_missing_gradients_stay_missing():
    optimizer = masked(sgd(0.1), KERNEL)
    grads = {"kernel": None, "bias": jnp.ones(2)}
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    assert updates["kernel"] is None
    np.testing.assert_array_equal(updates["bias"], 0)


def test_wrong_words_are_named():
    with pytest.raises(ValueError, match=r"masked\(outside\) is 'one', expected one of 'zero', 'raw'"):
        masked(sgd(), outside="one")
    with pytest.raises(TypeError, match="not a gradient transform"):
        masked(lambda g: g)

"""The parameters to evaluate with: those held, unless the optimizer says otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import OPTIMIZERS, chain, clip_by_value, ema_params, evaluation_params, sgd
from tests.optimizers.runs import follow, random_grads, random_params

OWN = ["nesterov", "nesterov_accelerated", "schedule_free_sgd", "schedule_free_adamw"]


@pytest.mark.full
@pytest.mark.notes("S2-33", "S1-63")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_look_ahead_optimizers_hold_other_parameters(name, x64):
    optimizer = OPTIMIZERS[name](0.1)
    path, states = follow(optimizer, random_params(), random_grads())
    last = jax.tree.map(lambda x: x[-1], (path, states))
    found = evaluation_params(optimizer, *last)
    same = all((a == b).all() for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(last[0]), strict=True))
    assert same == (name not in OWN)


@pytest.mark.parametrize("name", OWN)
def test_before_the_first_step_they_are_the_parameters(name):
    params = {"w": jnp.array([1.0, 2.0], jnp.bfloat16), "n": jnp.array(3)}
    optimizer = OPTIMIZERS[name](0.1)
    found = evaluation_params(optimizer, params, optimizer.init(params))
    jax.tree.map(np.testing.assert_array_equal, found, params)
    assert found["w"].dtype == jnp.bfloat16


def test_an_object_without_the_method_holds_what_it_means():
    params = jnp.ones(2)
    assert evaluation_params(object(), params, ()) is params
    assert evaluation_params(chain(), params, ()) is params


def test_a_chain_asks_each_of_its_parts(x64):
    """Here an average, after a part that holds nothing of its own."""
    params, grads = random_params(), random_grads()
    average = ema_params(sgd(0.1), 0.5)
    found = []
    for optimizer in (chain(clip_by_value(100.0), average), average):
        path, states = follow(optimizer, params, grads)
        found.append(evaluation_params(optimizer, *jax.tree.map(lambda x: x[-1], (path, states))))
    jax.tree.map(np.testing.assert_array_equal, *found)
    assert not np.array_equal(found[0]["kernel"], path["kernel"][-1])

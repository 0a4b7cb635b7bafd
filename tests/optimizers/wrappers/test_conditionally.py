"""Transforms that act at some steps only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxopt_notes.optimizers import clip_by_value, conditionally, ema_params, evaluation_params, momentum, sgd
from tests.optimizers.runs import follow


def is_even(step):
    return step % 2 == 0


@pytest.mark.parametrize("outside", ["raw", "zero"])
def test_where_it_does_not_hold_updates_pass_and_the_state_waits(outside):
    optimizer = conditionally(momentum(1.0, 0.5), is_even, outside=outside)
    path, states = follow(optimizer, jnp.zeros(()), jnp.ones(4))
    raw = 1.0 if outside == "raw" else 0.0
    np.testing.assert_allclose(path, np.cumsum([-1.0, raw, -1.5, raw]))
    np.testing.assert_array_equal(states.inner.count, [1, 1, 2, 2])
    np.testing.assert_array_equal(states.count, [1, 2, 3, 4])


def test_the_threshold_of_a_condition_is_data():
    """Clipped up to a step that is a leaf: a batch of them."""

    def before(until, step):
        return step < until

    run = jax.vmap(
        lambda until: follow(
            conditionally(clip_by_value(1.0), Partial(before, until)), 0.0, jnp.full(3, 5.0)
        )[0]
    )
    np.testing.assert_allclose(run(jnp.array([0, 2])), [[5, 10, 15], [1, 2, 7]])


def test_a_condition_may_be_a_bool_and_may_look_at_the_loss():
    update = jnp.array([5.0])
    for condition, expected in ((True, 1.0), (jnp.array(False), 5.0), (0.0, 5.0)):
        transform = conditionally(clip_by_value(1.0), condition)
        np.testing.assert_array_equal(transform.update(update, transform.init(update))[0], expected)
    transform = conditionally(clip_by_value(1.0), lambda step, value: value > 2.0, with_extra=True)
    state = transform.init(update)
    found = [float(transform.update(update, state, value=value)[0][0]) for value in (1.0, 3.0)]
    assert found == [5.0, 1.0]


def test_evaluation_params_reach_through():
    optimizer = conditionally(ema_params(sgd(1.0), 0.5), is_even, outside="zero")
    path, states = follow(optimizer, jnp.zeros(()), jnp.ones(3))
    last = jax.tree.map(lambda x: x[-1], (path, states))
    assert evaluation_params(optimizer, *last) != last[0]


def test_wrong_words_are_named():
    with pytest.raises(ValueError, match=r"conditionally\(outside\) is 'keep'"):
        conditionally(sgd(), outside="keep")

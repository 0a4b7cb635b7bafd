"""The parameters at the ends of cycles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.counts import count
from benchmarks.shapes import one_leaf
from jaxopt_notes.optimizers import ema_params, sgd, skip_nonfinite, snapshots
from jaxopt_notes.schedules import sgdr
from tests.optimizers.runs import follow


def members(optimizer, steps):
    """The snapshots of a run that goes to −1, −2, …"""
    path, states = follow(optimizer, jnp.zeros(()), jnp.ones(steps))
    return optimizer.members(*jax.tree.map(lambda x: x[-1], (path, states)))


def test_the_last_ones_are_kept_the_oldest_first():
    for steps, expected, there in [
        (1, [0, 0, 0], [False, False, False]),
        (2, [0, 0, -2], [False, False, True]),
        (7, [-2, -4, -6], [True, True, True]),
        (11, [-6, -8, -10], [True, True, True]),
    ]:
        found, filled = members(snapshots(sgd(1.0), 2, 3), steps)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(filled, there)


@pytest.mark.notes("S4-23")
@pytest.mark.parametrize("t_mul", [1.0, 1.5, 2.0])
def test_cycles_end_where_those_of_sgdr_do(t_mul):
    """At the last step before the rate jumps up, also where cycles are not whole numbers of steps."""
    rate = sgdr(1.0, 3, t_mul)
    values = np.array([rate(step) for step in range(41)])
    ends = np.nonzero(np.diff(values) > 1e-3)[0] + 1  # the first step of a new cycle: so many were made
    found, filled = members(snapshots(sgd(1.0), 3, 8, t_mul), 40)
    last = ends[-8:]
    np.testing.assert_array_equal(filled, np.arange(8) >= 8 - len(last))
    np.testing.assert_array_equal(found[8 - len(last) :], -last)


def test_what_is_kept_is_what_the_loop_holds():
    """Parameters projected after the step, and the average where one is to be evaluated."""
    optimizer = snapshots(sgd(1.0), 1, 1)
    params, state = jnp.array(0.0), optimizer.init(jnp.array(0.0))
    for _ in range(3):
        update, state = optimizer.update(jnp.array(1.0), state, params)
        params = jnp.maximum(params + update, -1.5)
    assert float(optimizer.members(params, state)[0][0]) == -1.5
    found, _ = members(snapshots(ema_params(sgd(1.0), 0.5), 2, 1), 2)
    np.testing.assert_allclose(found, [-2.5 / 1.5], rtol=1e-6)


def test_a_step_not_taken_ends_no_cycle():
    optimizer = skip_nonfinite(snapshots(sgd(1.0), 2, 2))
    path, states = follow(optimizer, jnp.zeros(()), jnp.array([1.0, jnp.nan, jnp.nan, 1.0, 1.0]))
    last = jax.tree.map(lambda x: x[-1], (path, states.inner))
    np.testing.assert_array_equal(optimizer.optimizer.members(*last)[0], [0, -2])


def test_members_have_the_types_of_the_parameters_and_can_be_run_by_vmap():
    params = {"w": jnp.ones(2, jnp.bfloat16), "n": jnp.array(3), "none": None}
    optimizer = snapshots(sgd(0.5), 1, 4)
    state = optimizer.init(params)
    for _ in range(3):
        grads = {"w": params["w"], "n": np.zeros((), jax.dtypes.float0), "none": None}
        updates, state = optimizer.update(grads, state, params)
        params = {**params, "w": params["w"] + updates["w"]}
    stack, filled = optimizer.members(params, state)
    assert (stack["w"].shape, stack["w"].dtype) == ((4, 2), jnp.bfloat16)
    assert (stack["n"] == 3).all()
    mean = jnp.mean(jax.vmap(lambda p: jnp.sum(p["w"]))(stack), where=filled)
    np.testing.assert_allclose(float(mean), 2 * (0.5 + 0.25 + 0.125) / 3, rtol=1e-2)


def test_a_step_touches_one_copy_however_many_there_are():
    costs = [count(snapshots(sgd(), number=k), one_leaf(512, 512)) for k in (2, 20)]
    assert costs[0].bytes_per_parameter == pytest.approx(costs[1].bytes_per_parameter, abs=0.1)
    assert all(c.unaliased == 0 for c in costs)


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"snapshots\(number\) is 0"):
        snapshots(sgd(), number=0)
    with pytest.raises(ValueError, match=r"snapshots\(t_mul\) is 0.5"):
        snapshots(sgd(), t_mul=0.5)

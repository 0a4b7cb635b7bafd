"""k steps forward, one step back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import evaluation_params, momentum, sgd, skip_nonfinite
from jaxopt_notes.optimizers.wrappers.lookahead import lookahead
from tests.optimizers.runs import assert_follows, follow, random_grads, random_params


@pytest.mark.parametrize(("k", "alpha"), [(1, 0.5), (3, 0.8), (5, 0.5), (4, 1.0)])
def test_formula(k, alpha, x64):
    """Algorithm 1 around momentum, whose velocity is kept."""

    def reference(theta, grads):
        slow, v = theta, np.zeros_like(theta)
        for t, g in enumerate(grads, start=1):
            v = 0.9 * v + 0.1 * g
            theta = theta - v
            if t % k == 0:
                slow = slow + alpha * (theta - slow)
                theta = slow
            yield theta

    assert_follows(lookahead(momentum(0.1, 0.9), k, alpha), reference)


def test_the_slow_parameters_are_those_to_evaluate(x64):
    params, grads = random_params(), random_grads()
    optimizer = lookahead(sgd(0.1), 4)
    path, states = follow(optimizer, params, grads)
    found = jax.vmap(lambda p, s: evaluation_params(optimizer, p, s))(path, states)
    for t in range(12):
        synced = (t + 1) // 4 * 4
        expected = path["kernel"][synced - 1] if synced else params["kernel"]
        np.testing.assert_allclose(found["kernel"][t], expected, rtol=1e-12)


def test_periods_are_data():
    run = jax.vmap(lambda k: follow(lookahead(sgd(1.0), k), jnp.zeros(()), jnp.ones(4))[0])
    np.testing.assert_array_equal(run(jnp.array([2, 4])), [[-1, -1, -2, -2], [-1, -2, -3, -2]])


def test_a_period_is_rounded():
    path = follow(lookahead(sgd(1.0), 2.4), jnp.zeros(()), jnp.ones(4))[0]
    np.testing.assert_array_equal(path, [-1, -1, -2, -2])


def test_a_step_not_taken_does_not_count():
    optimizer = skip_nonfinite(lookahead(sgd(1.0), 2))
    path, _ = follow(optimizer, jnp.zeros(()), jnp.array([1.0, jnp.nan, 1.0, 1.0]))
    np.testing.assert_array_equal(path, [-1, -1, -1, -2])


def test_slow_bfloat16_parameters_are_float32():
    """Steps of half a unit in the last place get somewhere in the end."""
    optimizer = lookahead(sgd(1.0), 1, 0.25)
    path, states = follow(optimizer, jnp.ones((), jnp.bfloat16), jnp.full((2,), -(2.0**-7), jnp.bfloat16))
    np.testing.assert_array_equal(states.slow, [1 + 2.0**-9, 1 + 2.0**-9 + 0.25 * (2.0**-7 - 2.0**-9)])
    assert path.dtype == jnp.bfloat16


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"lookahead\(sync_period\) is 0"):
        lookahead(sgd(), 0)
    with pytest.raises(ValueError, match="params is None"):
        lookahead(sgd()).update(jnp.ones(1), lookahead(sgd()).init(jnp.ones(1)))

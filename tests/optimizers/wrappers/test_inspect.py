"""What the last step was made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import (
    adam,
    chain,
    clip_by_global_norm,
    evaluation_params,
    masked,
    nesterov,
    sgd,
    skip_nonfinite,
)  # fmt: skip
from jaxopt_notes.optimizers.wrappers.inspect import inspect, learning_rate
from tests.optimizers.runs import RATES, STEPS, falling_rate, follow, random_grads, random_params


def length(tree):
    return np.sqrt(sum(np.sum(np.asarray(leaf) ** 2) for leaf in jax.tree.leaves(tree)))


@pytest.mark.notes("S1-57")
def test_rate_and_norms_of_every_step(x64):
    """SGD after a clip: ‖u‖/‖θ‖ = η·min(1, c/‖g‖)·‖g‖/‖θ‖; the path is the optimizer's own."""
    params, grads = random_params(), random_grads()
    bare = chain(clip_by_global_norm(0.5), sgd(falling_rate))
    path, states = follow(inspect(bare), params, grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), path, follow(bare, params, grads)[0]
    )
    np.testing.assert_allclose(states.learning_rate, RATES, rtol=1e-12)
    for t in range(STEPS):
        before = {name: path[name][t - 1] if t else params[name] for name in params}
        g = length({name: leaf[t] for name, leaf in grads.items()})
        np.testing.assert_allclose(states.grad_norm[t], g, rtol=1e-12)
        np.testing.assert_allclose(states.param_norm[t], length(before), rtol=1e-12)
        np.testing.assert_allclose(states.update_norm[t], RATES[t] * min(0.5, g), rtol=1e-10)


def test_the_rate_is_found_in_chains_and_wrappers():
    tree = {"kernel": jnp.ones((2, 2))}
    for optimizer, rate in {
        adam(0.3): 0.3,
        chain(adam(0.3), sgd(0.2)): 0.2,
        chain(sgd(0.2), clip_by_global_norm()): 0.2,
        skip_nonfinite(masked(chain(clip_by_global_norm(), sgd(falling_rate)))): 0.1,
        clip_by_global_norm(): np.nan,
    }.items():
        np.testing.assert_allclose(learning_rate(optimizer, optimizer.init(tree)), rate, rtol=1e-6)


def test_a_step_not_taken_leaves_the_record_of_the_last():
    optimizer = skip_nonfinite(inspect(sgd(0.5)))
    _, states = follow(optimizer, jnp.ones(()), jnp.array([2.0, jnp.nan]))
    np.testing.assert_array_equal(states.inner.grad_norm, [2, 2])
    np.testing.assert_array_equal(states.inner.update_norm, [1, 1])


def test_the_norm_of_a_bfloat16_update_is_not_rounded():
    optimizer = inspect(sgd(0.1))
    params = jnp.zeros((), jnp.bfloat16)
    updates, state = optimizer.update(jnp.ones((), jnp.bfloat16), optimizer.init(params), params)
    assert updates.dtype == jnp.bfloat16
    np.testing.assert_allclose(state.update_norm, 0.1, rtol=1e-6)


def test_evaluation_params_reach_through():
    optimizer = inspect(nesterov(0.1, 0.9))
    params = jnp.array(1.0)
    updates, state = optimizer.update(jnp.array(1.0), optimizer.init(params), params)
    found = evaluation_params(optimizer, params + updates, state)
    np.testing.assert_allclose(found, 0.9, rtol=1e-6)

"""Projected, proximal and pruned steps of any optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import (
    adam,
    apply_updates,
    evaluation_params,
    polyak_average,
    projected,
    projected_gradient,
    proximal,
    proximal_gradient,
    pruned,
    sgd,
)
from jaxopt_notes.penalties import group_lasso, l0, l1
from jaxopt_notes.projections import project_l2_ball
from jaxopt_notes.schedules import inverse_time
from jaxopt_notes.sparsity import magnitude_mask, sparsity_report

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6))
COEFFICIENTS = np.array([2.0, -1.5, 0.8, 0.0, 0.0, 0.0])[:, None]
Y = X @ COEFFICIENTS + 0.05 * RNG.normal(size=(40, 1)) + 4.0


def loss(params):
    x, y = (jnp.asarray(a, params["kernel"].dtype) for a in (X, Y))
    residual = x @ params["kernel"] + params["bias"][None, :] - y
    return 0.5 * jnp.mean(residual**2)


def run(optimizer, steps=300, start=None):
    kind = jnp.result_type(float)
    params = {"kernel": jnp.zeros((6, 1), kind), "bias": jnp.zeros(1, kind)} if start is None else start

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        params = apply_updates(params, updates)
        return (params, state), params

    (params, state), path = jax.lax.scan(step, (params, optimizer.init(params)), length=steps)
    return params, state, path


@pytest.mark.notes("S0-13", "S4-30", "S4-31")
def test_with_gradient_descent_inside_they_are_the_solvers(x64):
    """The whole path; the rate is a schedule in the second."""
    weights = lambda params: {"kernel": True, "bias": False}  # noqa: E731
    rate = inverse_time(0.3, 0.05)

    def ball(tree, radius):  # the solver projects everything, the wrapper weights only
        return {**tree, "kernel": project_l2_ball(tree["kernel"], radius)}

    paths = jax.jit(
        lambda: [
            run(optimizer, 30)[2]
            for optimizer in (
                projected(sgd(0.3), project_l2_ball, weights, radius=1.5),
                projected_gradient(0.3, ball, radius=1.5),
                proximal(sgd(rate), l1(0.3), rate),
                proximal_gradient(rate, l1(0.3), accelerated=False),
            )
        ]
    )()
    for one, other in (paths[:2], paths[2:]):
        for name in ("kernel", "bias"):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-12, atol=1e-14)
    lengths = np.linalg.norm(np.asarray(paths[0]["kernel"])[..., 0], axis=1)
    assert lengths.max() <= 1.5 * (1 + 1e-12)
    assert lengths[-1] > 1.49
    assert paths[0]["bias"][-1] > 3.5


@pytest.mark.notes("S4-30", "S4-41")
def test_proximal_steps_make_exact_zeros_where_a_gradient_does_not():
    """Adam with L1, L0 and groups of inputs in the step: features without effect have exactly weight 0."""
    penalised = lambda params: {"kernel": True, "bias": False}  # noqa: E731
    zeros = jax.jit(
        lambda: jnp.stack([
            run(optimizer)[0]["kernel"][:, 0] == 0
            for optimizer in (
                proximal(adam(0.05), l1(0.1, penalised), 0.05),
                proximal(adam(0.05), l0(0.01, penalised), 0.05),
                proximal(adam(0.05), group_lasso(0.1, "inputs", penalised), 0.05),
                adam(0.05),
            )
        ])
    )()  # fmt: skip
    assert zeros[:3].tolist() == [[False] * 3 + [True] * 3] * 3
    assert not zeros[3].any()


@pytest.mark.notes("S4-30")
def test_pruned_weights_stay_zero_while_the_others_are_tuned():
    def study():
        dense, _, _ = run(adam(0.05))
        keep = magnitude_mask(dense, 0.5)
        optimizer = pruned(polyak_average(adam(0.05), start=100), keep)
        tuned, state, path = run(optimizer, 200, dense)
        return dense, keep, tuned, path, evaluation_params(optimizer, tuned, state), state.inner.inner

    dense, keep, tuned, path, average, state = jax.jit(study)()
    kept = np.asarray(keep["kernel"])[:, 0]
    assert kept.tolist() == [True] * 3 + [False] * 3
    assert not path["kernel"][:, ~kept].any()
    assert not average["kernel"][~kept].any()
    assert not any(leaf[~kept].any() for leaf in jax.tree.leaves(state) if leaf.shape == (6, 1))
    assert (np.asarray(tuned["kernel"])[kept] != np.asarray(dense["kernel"])[kept]).all()
    least = np.linalg.lstsq(np.c_[X[:, kept], np.ones(40)], Y, rcond=None)[0]
    np.testing.assert_allclose(tuned["kernel"][kept], least[:3], atol=2e-3)
    assert sparsity_report(tuned)["kernel"]["zeros"] == 3


def test_a_step_that_is_not_accepted_moves_nothing():
    """Not even parameters that lie outside."""
    params = jnp.array([[3.0], [4.0]])
    for optimizer in (
        projected(sgd(1.0), project_l2_ball, radius=1.0), proximal(sgd(1.0), l1(1.0), 1.0),
        pruned(sgd(1.0), jnp.array([[True], [False]])),
    ):  # fmt: skip
        state = optimizer.init(params)
        for accept in (True, False):
            updates, _ = optimizer.update(jnp.ones((2, 1)), state, params, accept=jnp.array(accept))
            assert bool(updates.any()) == accept

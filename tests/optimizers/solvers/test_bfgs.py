"""BFGS beside its definition, and what the matrix it learns is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import bfgs, zoom
from jaxopt_notes.optimizers.solvers.bfgs import learn
from jaxopt_notes.problems import rosenbrock
from tests.optimizers.solver_runs import assert_strong_wolfe, solve, valley
from tests.optimizers.solvers.test_lbfgs import inverse_hessian


@pytest.mark.notes("S1-67")
@pytest.mark.parametrize("scaled", [True, False])
def test_a_run_without_search_is_the_definition(scaled, x64):
    rate = 0.1 if scaled else 1e-3
    points, states = solve(bfgs(rate, scaled, linesearch=None), rosenbrock(), jnp.array([-1.2, 1.0, 0.5]), 15)
    x, pairs, last = np.array([-1.2, 1.0, 0.5]), [], None
    for i, point in enumerate(points):
        np.testing.assert_allclose(point, x, rtol=1e-8)
        g = valley(x)[1]
        if last is not None and (x - last[0]) @ (g - last[1]) > 0:
            pairs.append((x - last[0], g - last[1]))
        gamma = 1.0
        if scaled:  # equation 6.20, for the first pair only
            gamma = (
                np.divide(*(pairs[0][i] @ pairs[0][1] for i in (0, 1))) if pairs else 1 / np.linalg.norm(g)
            )
        h = inverse_hessian(pairs, gamma, 3)
        if i < len(points) - 1:
            np.testing.assert_allclose(states.inverse_hessian[i], h, rtol=1e-7, atol=1e-12)
        if pairs:  # the secant equation
            np.testing.assert_allclose(h @ pairs[-1][1], pairs[-1][0], rtol=1e-8, atol=1e-12)
        last = x, g
        x = x - rate * h @ g


def test_exact_searches_learn_the_hessian_of_a_quadratic(x64):
    """After n steps, whatever the first matrix (Nocedal & Wright, theorem 6.4)."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    hessian = root @ root.T + np.eye(4)
    x, h = rng.normal(size=4), jnp.diag(jnp.array([1.0, 2.0, 0.5, 3.0]))
    for _ in range(4):
        d = -np.asarray(h) @ hessian @ x
        s = -(d @ hessian @ x) / (d @ hessian @ d) * d
        h, x = learn(h, jnp.asarray(s), jnp.asarray(hessian @ s)), x + s
    np.testing.assert_allclose(h, np.linalg.inv(hessian), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(x, 0, atol=1e-8)


@pytest.mark.notes("S1-67")
def test_rosenbrock_to_1e_8_where_scipy_ends(x64):
    """Each step satisfies the strong Wolfe conditions, so the matrix stays positive."""
    minimize = pytest.importorskip("scipy.optimize").minimize
    start = np.array([-1.2, 1.0, 0.3])
    points, states = solve(bfgs(linesearch=zoom(approx_dec_rtol=None)), rosenbrock(), jnp.asarray(start), 60)
    np.testing.assert_allclose(points[-1], 1, atol=1e-8)
    expected = minimize(valley, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    np.testing.assert_allclose(points[-1], expected, atol=1e-7)
    assert_strong_wolfe(valley, points[:30], 1e-4, 0.9)
    assert np.linalg.eigvalsh(states.inner.inverse_hessian).min() > 0


def test_a_leaf_without_gradient_has_no_part_in_the_matrix(x64):
    """The frozen rows stay those of the identity; the others are those of a run without the leaf."""
    optimizer = bfgs(0.1, linesearch=None)
    tree = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([3.0]), "c": jnp.array(4.0)}
    alone = {"a": tree["a"], "c": tree["c"]}
    states, update = (optimizer.init(tree), optimizer.init(alone)), jax.jit(optimizer.update)
    for grads in ({"a": jnp.array([1.0, 2.0]), "c": jnp.array(3.0)}, {"a": jnp.ones(2), "c": jnp.array(0.5)}):
        updates, states = zip(
            update({**grads, "b": None}, states[0], tree),
            update(grads, states[1], alone),
            strict=True,
        )
        assert updates[0]["b"] is None
        jax.tree.map(np.testing.assert_array_equal, {k: updates[0][k] for k in "ac"}, updates[1])
        tree, alone = (jax.tree.map(lambda x: x - 0.1, one) for one in (tree, alone))
    whole, part = (np.asarray(state.inverse_hessian) for state in states)
    np.testing.assert_array_equal(whole[2], [0, 0, 1, 0])
    np.testing.assert_array_equal(whole[np.ix_([0, 1, 3], [0, 1, 3])], part)
    assert (part != np.eye(3)).any()


def test_the_first_pair_that_is_kept_scales_the_matrix(x64):
    """After one of negative curvature: H = γI with γ = sᵀy/yᵀy, updated by (s, y)."""
    optimizer, x = bfgs(1.0, linesearch=None), np.array([1.0, 1.0])
    state, update = optimizer.init(jnp.asarray(x)), jax.jit(optimizer.update)
    path = [(x, [1.0, 0.5]), (x - 0.1, [2.0, 1.5]), (x - 0.3, [1.0, 1.4])]
    for point, g in path:
        updates, state = update(np.array(g), state, point)
    assert state.pairs == 1
    s, y = np.array([-0.2, -0.2]), np.array([-1.0, -0.1])
    turn = np.eye(2) - np.outer(s, y) / (s @ y)
    expected = (s @ y) / (y @ y) * turn @ turn.T + np.outer(s, s) / (s @ y)
    np.testing.assert_allclose(state.inverse_hessian, expected, rtol=1e-12)
    np.testing.assert_allclose(updates, -expected @ [1.0, 1.4], rtol=1e-12)

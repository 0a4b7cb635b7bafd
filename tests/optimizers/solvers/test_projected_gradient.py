"""Descent under a hard constraint: the optimum that multipliers predict, and when there is a multiplier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import iterative_hard_thresholding, projected_gradient
from jaxopt_notes.problems import double_well, quadratic
from jaxopt_notes.projections import project_box, project_l2_ball, project_simplex
from tests.optimizers.solver_runs import solve
from tests.optimizers.solvers.test_proximal_gradient import HalfMeanSquare, problem


def ridge(x, y, strength):
    """argmin of ‖y − Xw‖²/(2m) + ½λ‖w‖²."""
    return np.linalg.solve(x.T @ x / len(y) + strength * np.eye(x.shape[1]), x.T @ y / len(y))


def multiplier(x, y, square):
    """λ with ‖w(λ)‖² = θ, by bisection; 0 where the constraint is not active."""
    low, high = 0.0, 1e4
    if np.sum(ridge(x, y, 0.0) ** 2) <= square:
        return 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.sum(ridge(x, y, middle) ** 2) > square else (low, middle)
    return high


@pytest.mark.full
@pytest.mark.notes("S0-13", "S0-15")
@pytest.mark.parametrize("share", [0.3, 0.9, 1.7])
def test_the_constrained_optimum_is_the_ridge_solution_of_its_multiplier(share, x64):
    """‖w‖² ≤ θ holds after each step; where it is not active, λ is 0 and the optimum the free one."""
    x, y = problem(n=4)
    square = share * np.sum(ridge(x, y, 0.0) ** 2)
    strength = multiplier(x, y, square)
    assert (strength == 0) == (share > 1)
    rate = 1 / np.linalg.eigvalsh(x.T @ x / len(y))[-1]
    loss = HalfMeanSquare(jnp.asarray(x), jnp.asarray(y))
    optimizer = projected_gradient(rate, project_l2_ball, radius=np.sqrt(square), accelerated=True)
    _, states = solve(optimizer, loss, jnp.zeros(4), 1500)
    np.testing.assert_allclose(states.iterate[-1], ridge(x, y, strength), atol=1e-8)
    assert (np.sum(np.asarray(states.iterate) ** 2, axis=1) <= square * (1 + 1e-12)).all()


@pytest.mark.notes("S0-15")
def test_a_multiplier_for_every_radius_of_a_convex_loss_but_not_of_two_wells(x64):
    """The notes' equivalence of hard and soft constraint needs convexity.

    With wells at 1 and, deeper, at 3, the penalized minimum jumps from one side to the other; a ball that
    ends between has its minimum on its edge, where no strength of the penalty puts it.
    """
    x, y = problem(n=4)
    whole = np.sum(ridge(x, y, 0.0) ** 2)
    squares = np.linspace(0.05, 0.95, 7) * whole
    strengths = [multiplier(x, y, square) for square in squares]
    assert (np.diff(strengths) < 0).all()
    for square, strength in zip(squares, strengths, strict=True):
        np.testing.assert_allclose(np.sum(ridge(x, y, strength) ** 2), square, rtol=1e-8)

    grid = np.linspace(0, 4, 8001)
    values = np.asarray(jax.vmap(double_well(tilt=-0.6))(jnp.asarray(grid - 2)))
    soft = np.array([grid[(values + s * grid**2 / 2).argmin()] for s in np.linspace(0, 3, 3001)])
    below, above = soft[soft < 2].max(), soft[soft > 2].min()
    radius = above - 0.1
    hard = grid[grid <= radius][values[grid <= radius].argmin()]
    np.testing.assert_allclose(hard, radius, atol=1e-3)
    assert below + 0.1 < hard < above - 0.05

    shifted = jax.tree_util.Partial(lambda well, w: well(w[0] - 2), double_well(tilt=-0.6))
    points, _ = solve(
        projected_gradient(0.01, project_l2_ball, radius=radius), shifted, jnp.array([2.5]), 300
    )
    np.testing.assert_allclose(points[-1, 0], radius, rtol=1e-9)


def test_a_box_and_the_simplex(x64):
    """Where the quadratic's minimum is outside: per coordinate the nearest bound; shares by hand."""
    f = jax.tree_util.Partial(lambda q, x: q(x - jnp.array([2.0, -0.3, -4.0])), quadratic([1.0, 3.0, 0.5]))
    points, _ = solve(projected_gradient(0.3, project_box, lower=-1.0, upper=1.0), f, jnp.zeros(3), 100)
    np.testing.assert_allclose(points[-1], [1.0, -0.3, -1.0], atol=1e-9)
    points, _ = solve(projected_gradient(0.3, project_simplex), f, jnp.ones(3) / 3, 100)
    np.testing.assert_allclose(points[-1], [1.0, 0.0, 0.0], atol=1e-9)


def test_the_numbers_of_the_projection_are_leaves(x64):
    """A batch of radii is a batch of runs; a projection of one's own is called with the tree."""
    f = quadratic([1.0, 3.0])
    radii = jnp.array([0.5, 1.0, 2.0])
    shifted = jax.tree_util.Partial(lambda f, x: f(x - 5.0), f)

    def end(radius):
        return solve(projected_gradient(0.3, project_l2_ball, radius=radius), shifted, jnp.zeros(2), 60)[0][
            -1
        ]

    norms = np.linalg.norm(jax.vmap(end)(radii), axis=1)
    np.testing.assert_allclose(norms, radii, rtol=1e-9)
    own = projected_gradient(0.3, lambda tree: jax.tree.map(jnp.abs, tree))
    points, _ = solve(own, f, jnp.array([1.0, 2.0]), 30)
    assert (points >= 0).all()


@pytest.mark.notes("S0-19")
def test_iterative_hard_thresholding_recovers_a_sparse_vector(x64):
    """From fewer equations than unknowns, with random coefficients; after every step k numbers at most."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(60, 100)) / np.sqrt(60)
    truth = np.zeros(100)
    truth[rng.choice(100, 5, replace=False)] = rng.choice([-1, 1], 5) * rng.uniform(1, 2, 5)
    loss = HalfMeanSquare(jnp.asarray(a), jnp.asarray(a @ truth))
    optimizer = iterative_hard_thresholding(0.5 * 60, k=5)  # the loss is a mean over the 60 equations
    points, _ = solve(optimizer, loss, jnp.zeros(100), 100)
    np.testing.assert_allclose(points[-1], truth, atol=1e-8)
    assert ((np.asarray(points) != 0).sum(1) <= 5).all()
    dense = np.linalg.lstsq(a, a @ truth, rcond=None)[0]
    assert (abs(dense) > 1e-3).sum() > 50


@pytest.mark.full
def test_the_number_of_non_zeros_may_be_swept(x64):
    loss = quadratic(jnp.ones(6))
    start = jnp.arange(1.0, 7.0)

    def end(k):
        return solve(iterative_hard_thresholding(0.1, k), loss, start, 2)[0][-1]

    found = jax.vmap(end)(jnp.array([1.0, 3.0, 6.0]))
    np.testing.assert_array_equal((found != 0).sum(1), [1, 3, 6])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"iterative_hard_thresholding\(k\)"):
        iterative_hard_thresholding(k=-1)
    with pytest.raises(ValueError, match=r"projected_gradient\(learning_rate\)"):
        projected_gradient(-1.0, project_simplex)
    optimizer = projected_gradient(0.1, project_simplex)
    with pytest.raises(ValueError, match="needs the parameters"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))

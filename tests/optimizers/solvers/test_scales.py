"""Minimizers where the right step is 10⁻⁹ or 10⁹ of the first guess, and where no step is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import (
    SOLVERS,
    bfgs,
    chain,
    freeze,
    lbfgs,
    line_search,
    newton,
    newton_cg,
    sgd,
    zoom,
)
from jaxopt_notes.problems import rosenbrock
from tests.optimizers.solver_runs import solution, solve, valley

T = np.linspace(7.7e5, 7.6e6, 14)
saturation = jax.tree_util.Partial(
    lambda p: jnp.sum((p[0] * (1 - jnp.exp(-p[1] * T)) - 239.0 * (1 - np.exp(-5.5e-8 * T))) ** 2)
)


@pytest.mark.parametrize("factory", [lbfgs, bfgs])
def test_parameters_ten_orders_of_magnitude_apart(factory, x64):
    """Misra1a with its x in other units: the right first step is 4e-9 of the one tried.

    Rounding leads one run in ten astray, another one on each processor: of seven starts the median counts.
    """
    starts = np.array([250.0, 5e-8]) * (1 + 1e-10 * np.random.default_rng(0).normal(size=(7, 2)))
    run = jax.jit(jax.vmap(lambda start: solution(factory(), saturation, start, 60)))
    points, states = jax.device_get(run(starts))
    errors = np.abs(points[:, -1] / [239.0, 5.5e-8] - 1).max(axis=1)
    assert np.median(errors) < 1e-9
    assert np.median(states.num_linesearch_steps.sum(axis=1)) < 1000


@pytest.mark.parametrize("kind", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.full)])
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_the_size_of_the_loss_does_not_matter(size, kind, x64):
    loss = jax.tree_util.Partial(
        lambda size, x: (rosenbrock()(x) * size).astype(kind), jnp.asarray(size, kind)
    )
    start = jnp.array([-1.2, 1.0], kind)
    for optimizer in (lbfgs(), bfgs(), line_search(newton())):
        points, _ = solve(optimizer, loss, start, 60)
        np.testing.assert_allclose(points[-1], 1, atol=5e-3 if kind == jnp.float32 else 1e-7)


def test_a_loss_of_any_size_under_a_plain_gradient(x64):
    """Steps of the gradient itself: 10³⁰ times too long or too short."""
    for size in (1e-30, 1e30):
        loss = jax.tree_util.Partial(lambda size, x: size * jnp.sum((x - 1) ** 2), jnp.asarray(size))
        optimizer = line_search(sgd(1.0), zoom(curv_rtol=0.1), initial_guess_strategy="keep")
        points, _ = solve(optimizer, loss, jnp.array([4.0, -2.0]), 12)
        np.testing.assert_allclose(points[-1], 1, atol=0.2)


def test_a_search_that_fails_says_so_and_is_not_repeated(x64):
    """Two rounds are too few for a step 1,000 times too long: the next search begins where this one ended."""
    loss = jax.tree_util.Partial(lambda x: jnp.sum(x**2))
    points, states = solve(line_search(sgd(1e3), zoom(2)), loss, jnp.array([1.0]), 30)
    failures = np.asarray(states.failures)
    assert failures[0] == 1
    np.testing.assert_array_equal(points[1], points[0])
    assert failures.max() == 2
    assert abs(points[-1, 0]) < 0.5
    np.testing.assert_array_equal(failures > 0, np.diff(points[:, 0]) == 0)


def test_where_the_update_leads_upwards_steepest_descent_takes_its_place(x64):
    """And what is frozen stays."""
    optax = pytest.importorskip("optax")
    loss = jax.tree_util.Partial(lambda p: p["a"] ** 2 + (p["b"] - 1) ** 2)
    start = {"a": jnp.array(3.0), "b": jnp.array(4.0)}
    points, _ = solve(line_search(optax.scale(1.0)), loss, start, 12)
    np.testing.assert_allclose([points["a"][-1], points["b"][-1]], [0, 1], atol=0.1)
    upwards = chain(optax.scale(1.0), freeze({"a": False, "b": True}))
    points, _ = solve(line_search(upwards), loss, start, 12)
    assert (points["b"] == 4).all()
    np.testing.assert_allclose(points["a"][-1], 0, atol=0.1)


@pytest.mark.parametrize("factory", [newton, newton_cg])
def test_newton_under_a_search_leaves_regions_of_negative_curvature(factory, x64):
    """Rosenbrock's valley in ten dimensions, where Newton's own direction leads upwards on the way.

    From the customary start it ends in the local minimum near (−1, 1, …, 1), as scipy's "trust-exact" does.
    """
    start, value = jnp.asarray(np.tile([-1.2, 1.0], 5)), rosenbrock()
    points, _ = solve(line_search(factory()), value, start, 60)
    points = np.asarray(points)
    curvature = np.linalg.eigvalsh(jax.jit(jax.vmap(jax.hessian(value)))(points)).min(axis=1)
    assert curvature[:10].min() < 0 < curvature[-1]
    values, slopes = zip(*map(valley, points), strict=True)
    assert (np.diff(values) <= 1e-9).all()
    np.testing.assert_allclose(slopes[-1], 0, atol=1e-6)


def test_at_a_saddle_negative_eigenvalues_become_their_magnitudes(x64):
    """d = −|H|⁻¹·g, worked by hand; bare Newton goes to the saddle."""
    loss = jax.tree_util.Partial(lambda x: 2 * x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4)
    x = jnp.array([0.5, 0.1])
    g = np.array([4 * 0.5, -2 * 0.1 + 0.1**3])
    h = np.array([4.0, -2 + 3 * 0.1**2])
    updates, _ = newton().update(jax.grad(loss)(x), newton().init(x), x, value_fn=loss)
    np.testing.assert_allclose(updates, -g / h, rtol=1e-12)
    updates, _ = newton().update(jax.grad(loss)(x), newton().init(x), x, value_fn=loss, downwards=True)
    np.testing.assert_allclose(updates, -g / abs(h), rtol=1e-12)
    for factory in (newton, newton_cg):
        points, _ = solve(line_search(factory()), loss, x, 30)
        np.testing.assert_allclose(np.abs(points[-1]), [0, np.sqrt(2)], atol=1e-7)


@pytest.mark.parametrize("name", SOLVERS)
def test_no_two_slots_of_a_fresh_state_share_a_buffer(name):
    """So that the state can be donated."""
    params = {"a": jnp.ones((2, 2)), "b": jnp.ones(3)}
    optimizer = SOLVERS[name](
        *({"line_search": [sgd(0.1)], "projected_gradient": [0.1, lambda p: p]}.get(name, []))
    )
    leaves = jax.tree.leaves((optimizer.init(params), params))
    assert len({leaf.unsafe_buffer_pointer() for leaf in leaves}) == len(leaves)


def test_a_search_of_optax_is_refused_by_name():
    optax = pytest.importorskip("optax")
    for factory in (lbfgs, bfgs):
        with pytest.raises(TypeError, match=rf"{factory.__name__}\(linesearch\).*optax stands after"):
            factory(linesearch=optax.scale_by_zoom_linesearch(20))
    with pytest.raises(TypeError, match=r"line_search\(rule\)"):
        line_search(sgd(1.0), optax.scale_by_backtracking_linesearch(20))

"""Gauss–Newton and Levenberg–Marquardt beside the normal equations, and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import gauss_newton, levenberg_marquardt
from jaxopt_notes.optimizers.solvers.levenberg_marquardt import damped_step
from tests.optimizers.solver_runs import solve

T = np.linspace(0.0, 3.0, 20)
Y = 2.0 * np.exp(-1.3 * T) + 0.4 + 0.05 * np.sin(9 * T)
START = np.array([1.0, -0.2, 0.0])


def decay(p):
    """Residuals of an exponential fitted to points."""
    return p[0] * jnp.exp(p[1] * T) + p[2] - Y


def by_hand(p):
    e = np.exp(p[1] * T)
    return p[0] * e + p[2] - Y, np.stack([e, p[0] * T * e, np.ones_like(T)], 1)


half_square = jax.tree_util.Partial(lambda p: jnp.sum(decay(p) ** 2) / 2)


def test_gauss_newton_is_the_normal_equations(x64):
    points, _ = solve(gauss_newton(0.7, 0.01), half_square, jnp.asarray(START), 12, residual_fn=decay)
    p = START
    for point in points:
        np.testing.assert_allclose(point, p, rtol=1e-9)
        r, j = by_hand(p)
        p = p - 0.7 * np.linalg.solve(j.T @ j + 0.01 * np.eye(3), j.T @ r)


@pytest.mark.parametrize("scaling", ["identity", "columns"])
def test_levenberg_marquardt_is_the_damped_equations_and_refuses(scaling, x64):
    optimizer = levenberg_marquardt(1e-4, 8.0, 0.25, scaling)
    points, states = solve(optimizer, half_square, jnp.asarray(START), 8, residual_fn=decay)
    p, damping = START, 1e-4
    for i in range(8):  # then values differ by rounding only
        r, j = by_hand(p)
        scale = np.diag((j**2).sum(0)) if scaling == "columns" else np.eye(3)
        trial = p - np.linalg.solve(j.T @ j + damping * scale, j.T @ r)
        better = (by_hand(trial)[0] ** 2).sum() <= (r**2).sum()
        assert states.accepted[i] == better
        p, damping = (trial, damping * 0.25) if better else (p, damping * 8)
        np.testing.assert_allclose(points[i + 1], p, rtol=1e-8)
        np.testing.assert_allclose(states.damping[i], damping, rtol=1e-12)
    assert 2 <= sum(~np.asarray(states.accepted)) <= 3
    cost = [(by_hand(np.asarray(point))[0] ** 2).sum() for point in points]
    assert (np.diff(cost) <= 1e-12).all()


def test_it_ends_where_scipy_does(x64):
    least_squares = pytest.importorskip("scipy.optimize").least_squares
    expected = least_squares(lambda p: by_hand(p)[0], START, xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    for optimizer in (levenberg_marquardt(), levenberg_marquardt(scaling="columns")):
        points, _ = solve(optimizer, half_square, jnp.asarray(START), 25, residual_fn=decay)
        np.testing.assert_allclose(points[-1], expected, rtol=1e-6)


def test_the_step_turns_from_gauss_newton_to_gradient_descent(x64):
    """As λ grows the step shortens and turns towards −g; at the ends it is the two methods' own."""
    rng = np.random.default_rng(0)
    j, r = rng.normal(size=(6, 3)) * [1.0, 5.0, 0.2], rng.normal(size=6)
    g = j.T @ r

    def step(damping):
        return np.asarray(damped_step(jnp.asarray(j), jnp.asarray(r), jnp.asarray(damping), jnp.ones(3)))

    np.testing.assert_allclose(step(0.0), -np.linalg.lstsq(j, r, rcond=None)[0], rtol=1e-9)
    np.testing.assert_allclose(step(1e9), -g / 1e9, rtol=1e-6)
    steps = [step(damping) for damping in 10.0 ** np.arange(-6, 7)]
    lengths = [np.linalg.norm(s) for s in steps]
    cosines = [-(s @ g) / np.linalg.norm(s) / np.linalg.norm(g) for s in steps]
    assert (np.diff(lengths) < 0).all()
    assert (np.diff(cosines) > 0).all()


def test_a_linear_fit_in_one_step_although_its_condition_number_is_large():
    """In single precision JᵀJ, of condition number 1e8, would be singular; J is not."""
    rng = np.random.default_rng(0)
    j = np.linalg.qr(rng.normal(size=(8, 3)))[0] @ np.diag([1.0, 1e-2, 1e-4])
    b = j @ np.array([1.0, 2.0, 3.0])
    linear = jax.tree_util.Partial(lambda p: jnp.sum(p**2))
    points, _ = solve(
        gauss_newton(), linear, jnp.zeros(3), 1,
        residual_fn=lambda p: jnp.asarray(j, jnp.float32) @ p - jnp.asarray(b, jnp.float32),
    )  # fmt: skip
    np.testing.assert_allclose(points[1], [1, 2, 3], rtol=0.02)


def test_the_columns_scaling_does_not_know_the_units(x64):
    """Parameters in other units are moved by the same amount, in those units."""
    units = np.array([1.0, 1e3, 1e-2])
    optimizer = levenberg_marquardt(0.1, scaling="columns")
    found, _ = solve(optimizer, half_square, jnp.asarray(START), 6, residual_fn=decay)
    scaled, _ = solve(
        optimizer, half_square, jnp.asarray(START / units), 6, residual_fn=lambda q: decay(q * units)
    )
    np.testing.assert_allclose(np.asarray(scaled) * units, found, rtol=1e-7)


def test_few_residuals_of_many_parameters_and_trees_of_them(x64):
    """Damped, fewer residuals than parameters are no trouble; a tree of residuals is all of them."""
    rng = np.random.default_rng(0)
    j, b = rng.normal(size=(2, 5)), np.array([1.0, -2.0])
    x = {"a": jnp.zeros(3), "b": jnp.zeros(2)}

    def residual_fn(x):
        out = jnp.asarray(j) @ jnp.concatenate([x["a"], x["b"]]) - b
        return {"first": out[0], "second": out[1:]}

    optimizer = gauss_newton(damping=0.5)
    updates, _ = optimizer.update(x, optimizer.init(x), x, residual_fn=residual_fn)
    expected = np.linalg.solve(j.T @ j + 0.5 * np.eye(5), j.T @ b)
    np.testing.assert_allclose(np.concatenate([updates["a"], updates["b"]]), expected, rtol=1e-9)


def test_at_the_minimum_the_damping_stays_finite(x64):
    points, states = solve(levenberg_marquardt(), half_square, jnp.asarray(START), 120, residual_fn=decay)
    assert np.isfinite(points).all()
    assert (states.damping > 0).all()
    assert np.isfinite(states.damping).all()


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"levenberg_marquardt\(damping\)"):
        levenberg_marquardt(0.0)
    with pytest.raises(ValueError, match=r"levenberg_marquardt\(scaling\) is 'rows'"):
        levenberg_marquardt(scaling="rows")
    with pytest.raises(ValueError, match=r"gauss_newton\(damping\)"):
        gauss_newton(damping=-1.0)


def test_at_a_solution_that_is_met_every_step_is_accepted(x64):
    """Of length 0, with damping that goes on falling."""
    optimizer = levenberg_marquardt(0.1, 8.0, 0.25)
    start = jnp.array([1.0, 2.0])
    state = optimizer.init(start)
    _, state = optimizer.update(jnp.zeros(2), state, start, residual_fn=lambda p: p - start)
    assert state.accepted
    np.testing.assert_allclose(state.damping, 0.1 * 0.25, rtol=1e-12)

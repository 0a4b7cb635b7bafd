"""Newton's method with and without the Hessian."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import line_search, newton, newton_cg
from jaxopt_notes.problems import logistic_regression, quadratic, rosenbrock, saddle
from tests.optimizers.solver_runs import solve, valley

both = pytest.mark.parametrize(
    "factory", [newton, functools.partial(newton_cg, tol=1e-12)], ids=["dense", "cg"]
)


def labelled(seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(40) % 2
    return np.column_stack([rng.normal(size=(40, 2)) + y[:, None], np.ones(40)]), y


def slope_and_hessian(x, y, w, l2):
    """Of logistic regression, by hand."""
    p = 1 / (1 + np.exp(-x @ w))
    return x.T @ (p - y) / len(y) + l2 * w, x.T @ (x * (p * (1 - p))[:, None]) / len(y) + l2 * np.eye(len(w))


@pytest.mark.notes("S1-66", "S3-16")
@both
def test_a_quadratic_in_one_step(factory, x64):
    """Of any condition number, without a rate to tune; and to the saddle too, which attracts it."""
    points, _ = solve(factory(), quadratic([1.0, 40.0, 1e4]), jnp.array([3.0, -1.0, 0.5]), 1)
    np.testing.assert_allclose(points[1], 0, atol=1e-9)
    if factory is newton:
        points, _ = solve(factory(), saddle(), jnp.array([3.0, 2.0]), 1)
        np.testing.assert_allclose(points[1], 0, atol=1e-12)


@pytest.mark.notes("S3-16", "S1-66")
@both
def test_digits_double_on_logistic_regression(factory, x64):
    x, y = labelled()
    f = logistic_regression(jnp.asarray(x), jnp.asarray(y), 0.05)
    points, _ = solve(factory(), f, jnp.zeros(3), 8)
    expected = np.zeros(3)
    for i, point in enumerate(points):
        np.testing.assert_allclose(point, expected, rtol=1e-8, atol=1e-12, err_msg=str(i))
        g, h = slope_and_hessian(x, y, expected, 0.05)
        expected = expected - np.linalg.solve(h, g)
    errors = np.linalg.norm(np.asarray(points) - expected, axis=1)
    quadratically = [b / a**2 for a, b in itertools.pairwise(errors) if b > 1e-14 and a < 0.5]
    assert len(quadratically) >= 2
    assert max(quadratically) < 3
    assert errors[5] < 1e-12


@both
def test_damping_leads_from_newton_to_gradient_descent(factory, x64):
    """For λ → ∞ the step is −η/λ·g; in between the damped system of equations."""
    x = np.array([-1.2, 1.0])
    g = valley(x)[1]
    hessian = np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200]])
    for damping in (0.0, 3.0, 1e9):
        points, _ = solve(factory(0.5, damping), rosenbrock(), jnp.asarray(x), 1)
        expected = -0.5 * np.linalg.solve(hessian + damping * np.eye(2), g)
        np.testing.assert_allclose(points[1] - x, expected, rtol=1e-7)
    np.testing.assert_allclose(points[1] - x, -0.5 / damping * g, rtol=1e-5)


@pytest.mark.notes("S3-17")
def test_the_product_is_the_hessian_times_a_vector(x64):
    """One step of conjugate gradients goes along g by gᵀg/gᵀHg."""
    x, y = labelled()
    f, w = logistic_regression(jnp.asarray(x), jnp.asarray(y), 0.05), np.array([0.3, -0.2, 0.1])
    g, h = slope_and_hessian(x, y, w, 0.05)
    points, _ = solve(newton_cg(max_iterations=1), f, jnp.asarray(w), 1)
    np.testing.assert_allclose(points[1] - w, -(g @ g) / (g @ h @ g) * g, rtol=1e-9)
    d = newton_cg(tol=1e-12).solve(f, jnp.asarray(w), jnp.asarray(g), jnp.zeros(()))
    np.testing.assert_allclose(h @ d, g, rtol=1e-9)


@pytest.mark.full
@pytest.mark.usefixtures("compiled_as_for_users")
@pytest.mark.notes("S3-17")
def test_without_the_hessian_memory_is_linear(x64):
    n = 600
    x = jax.ShapeDtypeStruct((n,), jnp.float64)

    def bytes_of(optimizer):
        def step(x):
            return optimizer.update(x, optimizer.init(x), x, value_fn=rosenbrock())[0]

        return jax.jit(step).lower(x).compile().memory_analysis().temp_size_in_bytes

    assert bytes_of(newton()) > 8 * n**2
    assert bytes_of(newton_cg()) < 8 * n * 60


def test_with_a_line_search_it_only_goes_down(x64):
    start = jnp.array([-1.2, 1.0])
    points, states = solve(line_search(newton()), rosenbrock(), start, 30)
    assert (np.diff(states.value[:12]) <= 0).all()
    np.testing.assert_allclose(points[-1], 1, atol=1e-10)
    bare, _ = solve(newton(), rosenbrock(), start, 2)
    assert valley(np.asarray(bare[2]))[0] > valley(np.asarray(bare[0]))[0]  # as Newton alone does not


def test_mistakes_are_named():
    for build, name in (
        (lambda: newton(damping=-1.0), "newton.damping"),
        (lambda: newton_cg(tol=0.0), "newton_cg.tol"),
        (lambda: newton_cg(max_iterations=0), "newton_cg.max_iterations"),
    ):
        with pytest.raises(ValueError, match=name):
            build()

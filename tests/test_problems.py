"""Test functions: values, gradients and curvatures by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxopt_notes import problems

# A problem is an argument, not a constant: one trace for each kind, and no eager operations.
value = jax.jit(lambda f, x: f(x))
slope = jax.jit(lambda f, x: jax.grad(f)(x))
hessian = jax.jit(lambda f, x: jax.hessian(f)(x))


def data(seed=0, examples=40, features=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(examples, features)), (rng.random(examples) < 0.5).astype(int)


MADE = {
    "quadratic": (lambda: problems.quadratic([0.5, 2.0, 7.0]), 3),
    "elliptic_bowl": (problems.elliptic_bowl, 2),
    "saddle": (problems.saddle, 2),
    "rosenbrock": (problems.rosenbrock, 4),
    "double_well": (lambda: problems.double_well(0.3), None),
    "lessard": (problems.lessard, None),
    "logistic_regression": (lambda: problems.logistic_regression(*data(), l2=0.1), 3),
}


def test_every_problem_is_registered_and_tested():
    assert MADE.keys() == problems.PROBLEMS.keys()


@pytest.fixture(params=MADE)
def problem(request):
    """A problem and a point for it, in general position."""
    make, n = MADE[request.param]
    return make(), np.random.default_rng(1).normal(size=() if n is None else n)


def test_gradients_and_curvatures_agree_with_finite_differences(problem, x64):
    f, x = problem
    check_grads(jax.jit(lambda x: f(x)), (x,), order=2, modes=["rev"], rtol=1e-5)


def test_transformations(problem):
    """jit and vmap over every number and the point, and the dtype of the point."""
    f, x = problem
    x = jnp.asarray(x, jnp.float32)
    expected = f(x)
    assert expected.shape == ()
    assert expected.dtype == jnp.float32
    twice = jax.tree.map(lambda leaf: np.stack([leaf] * 2), (f, x))
    both = jax.jit(jax.vmap(lambda f, x: f(x)))(*twice)
    np.testing.assert_allclose(both, [expected, expected], rtol=1e-6)
    low = value(f, x.astype(jnp.bfloat16))
    assert low.dtype == jnp.bfloat16
    np.testing.assert_allclose(low.astype(jnp.float32), expected, rtol=0.05)


@pytest.mark.notes("S2-52")
def test_elliptic_bowl(x64):
    """z = x²/10 + y², its gradient (x/5, 2y), its Hessian diag(0.2, 2) of condition number 10."""
    f = problems.elliptic_bowl()
    for x, y in ((-7.0, 2.0), (0.3, -1.1)):
        point = jnp.array([x, y])
        np.testing.assert_allclose(value(f, point), x**2 / 10 + y**2, rtol=1e-15)
        np.testing.assert_allclose(slope(f, point), [x / 5, 2 * y], rtol=1e-15)
    curvatures = hessian(f, point)
    np.testing.assert_allclose(curvatures, [[0.2, 0.0], [0.0, 2.0]], rtol=1e-15)
    assert np.linalg.cond(curvatures) == pytest.approx(10)


def test_quadratic_is_half_a_weighted_sum_of_squares(x64):
    assert float(problems.quadratic([1.0, -4.0, 0.0])(jnp.array([2.0, 3.0, 5.0]))) == 2 - 18


@pytest.mark.parametrize("n", [2, 5])
def test_rosenbrock_has_its_minimum_at_ones(n, x64):
    f = problems.rosenbrock()
    assert float(value(f, jnp.ones(n))) == 0
    assert not slope(f, jnp.ones(n)).any()
    assert (np.linalg.eigvalsh(hessian(f, jnp.ones(n))) > 0).all()
    np.testing.assert_allclose(problems.rosenbrock(a=2.0, b=7.0)(jnp.array([3.0, 4.0])), 1 + 7 * 25)


def test_saddle_falls_along_one_axis_only(x64):
    f = problems.saddle()
    np.testing.assert_array_equal(slope(f, jnp.zeros(2)), [0, 0])
    np.testing.assert_array_equal(slope(f, jnp.array([3.0, 0.0])), [6, 0])
    np.testing.assert_array_equal(slope(f, jnp.array([0.0, 0.5])), [0, -1])


def test_double_well_has_two_minima_and_a_hill(x64):
    """Stationary points are the real roots of 4x³ − 4x + t."""
    f = problems.double_well(tilt=0.5)
    deep, hill, shallow = np.sort(np.roots([4, 0, -4, 0.5]).real)
    np.testing.assert_allclose([slope(f, x) for x in (deep, hill, shallow)], 0, atol=1e-12)
    assert value(f, deep) < value(f, shallow) < value(f, hill)
    assert hessian(f, hill) < 0
    assert np.isreal(np.roots([4, 0, -4, 1.53])).all(), "below 8/√27 there are two wells"
    assert not np.isreal(np.roots([4, 0, -4, 1.55])).all(), "above there is one"


@pytest.mark.notes("S3-20")
def test_lessard_has_the_published_slope_and_is_continuous(x64):
    f = problems.lessard()
    for x, expected in ((-2.0, -50.0), (0.5, 12.5), (1.5, 25.5), (2.5, 38.5), (3.3, 58.5)):
        assert float(slope(f, x)) == pytest.approx(expected, rel=1e-14)
    for kink in (1.0, 2.0):
        np.testing.assert_allclose(value(f, kink - 1e-9), value(f, kink), atol=1e-6)
        np.testing.assert_allclose(slope(f, kink - 1e-9), slope(f, kink), atol=1e-6)


def test_logistic_regression_is_the_mean_negative_log_likelihood(x64):
    x, y = data()
    w = np.array([0.5, -1.0, 2.0])
    p = 1 / (1 + np.exp(-x @ w))
    expected = -np.mean(np.where(y == 1, np.log(p), np.log(1 - p))) + 0.1 / 2 * w @ w
    f = problems.logistic_regression(x, y, l2=0.1)
    np.testing.assert_allclose(value(f, w), expected, rtol=1e-13)
    np.testing.assert_allclose(slope(f, w), x.T @ (p - y) / len(y) + 0.1 * w, rtol=1e-12)
    bound = np.linalg.eigvalsh(x.T @ x).max() / (4 * len(y)) + 0.1
    assert np.linalg.eigvalsh(hessian(f, w)).max() <= bound


def test_logistic_regression_stays_finite_and_says_what_is_wrong():
    f = problems.logistic_regression(jnp.array([[1.0], [-1.0]]), jnp.array([0, 0]))
    assert float(value(f, jnp.array([1e15]))) == pytest.approx(5e14)
    with pytest.raises(ValueError, match=r"y\) has shape \(3,\)"):
        problems.logistic_regression(jnp.ones((2, 1)), jnp.ones(3))
    with pytest.raises(ValueError, match="l2"):
        problems.logistic_regression(jnp.ones((2, 1)), jnp.ones(2), l2=-1.0)
    with pytest.raises(ValueError, match="eigenvalues"):
        problems.quadratic([1.0, np.nan])


def test_the_ends_of_lessards_slope_are_numbers(x64):
    """10·x, then 2·x + 8, then 10·x − 8."""
    f = problems.lessard(2.0, 10.0)
    for x, expected in ((-1.0, -10.0), (0.5, 5.0), (1.5, 11.0), (2.5, 17.0)):
        assert float(slope(f, x)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.notes("S3-05")
def test_between_two_points_a_convex_function_is_below_their_mean():
    """f((x + y)/2) ≤ ½(f(x) + f(y)). The notes have f(x + y) on the left, which x² does not meet."""
    rng = np.random.default_rng(0)
    values = jax.jit(jax.vmap(lambda f, x: f(x), (None, 0)))

    def gap(f, x, y):
        return (values(f, x) + values(f, y)) / 2 - values(f, (x + y) / 2)

    x, y = rng.normal(size=(2, 100, 3)).astype(np.float32)
    assert (gap(problems.quadratic([0.5, 2.0, 7.0]), x, y) > 0).all()
    well = problems.double_well()
    assert gap(well, np.float32([-1.0]), np.float32([1.0])) < 0  # a hill between its valleys
    one = problems.quadratic([2.0])  # x²
    assert value(one, np.float32([2.0])) > (value(one, np.float32([1.0])) + value(one, np.float32([1.0]))) / 2

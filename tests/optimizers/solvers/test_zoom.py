"""The zoom line search: scipy's steps, the conditions themselves, and what it does where none can hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import line_search, sgd, zoom
from jaxopt_notes.optimizers.solvers.zoom import Trial, interpolate
from jaxopt_notes.problems import rosenbrock
from tests.optimizers.solver_runs import assert_strong_wolfe, solve, valley


@jax.jit
def search(rule, loss, point, direction):
    f = jax.value_and_grad(loss)
    return rule.search(f, point, direction, *f(point))


def starts(seed, count=8):
    rng = np.random.default_rng(seed)
    return [(x, -np.exp(rng.normal()) * valley(x)[1] / 100) for x in rng.normal(size=(count, 3))]


def test_the_steps_are_those_of_scipy(x64):
    """`scipy.optimize.line_search` is the same algorithm of Nocedal & Wright, written by others.

    For small c₂ the two part where a bracket lies left of its best end: there scipy's bounds of the
    interpolation have the wrong sign.
    """
    peer = pytest.importorskip("scipy.optimize").line_search
    rule = zoom(approx_dec_rtol=None)
    for x, d in starts(0):
        found = search(rule, rosenbrock(), jnp.asarray(x), jnp.asarray(d))
        expected = peer(lambda x: valley(x)[0], lambda x: valley(x)[1], x, d)
        np.testing.assert_allclose(found.step, expected[0], rtol=1e-9)
        np.testing.assert_allclose(found.value, expected[3], rtol=1e-9)


@pytest.mark.parametrize(("c1", "c2"), [(1e-4, 0.9), (1e-4, 0.1), (0.3, 0.5)])
def test_the_strong_wolfe_conditions_hold_at_each_step(c1, c2, x64):
    rule = zoom(slope_rtol=c1, curv_rtol=c2, approx_dec_rtol=None)
    points, states = solve(line_search(sgd(0.001), rule), rosenbrock(), jnp.array([-1.2, 1.0]), 40)
    assert_strong_wolfe(valley, points, c1, c2)
    np.testing.assert_array_equal(states.decrease_error, 0)
    np.testing.assert_array_equal(states.curvature_error, 0)


def test_a_bracket_is_found_however_short_the_first_guess(x64):
    rule = zoom(curv_rtol=0.1)
    found = search(rule, lambda_square, jnp.array([1.0]), jnp.array([-1e-4]))
    assert 0.9 / 1e-4 < found.step < 1.1 / 1e-4
    factor = zoom(curv_rtol=0.1, increase_factor=10.0)
    faster = search(factor, lambda_square, jnp.array([1.0]), jnp.array([-1e-4]))
    assert faster.num_linesearch_steps < found.num_linesearch_steps


lambda_square = jax.tree_util.Partial(lambda x: jnp.sum(x**2))
barrier = jax.tree_util.Partial(lambda x: jnp.sum(x) - jnp.log(jnp.sum(x)))  # NaN below 0, least at 1


def test_where_the_loss_is_not_defined_it_turns_back(x64):
    found = search(zoom(curv_rtol=0.5), barrier, jnp.array([4.0]), jnp.array([-50.0]))
    assert np.isfinite(found.value)
    assert abs(4 - 50 * found.step - 1) < 1


def test_never_uphill(x64):
    """No step at all: along a direction that rises, or if the rounds are not enough."""
    uphill = search(zoom(), lambda_square, jnp.array([1.0]), jnp.array([1.0]))
    hurried = search(zoom(2), lambda_square, jnp.array([1.0]), jnp.array([-1e3]))
    for found in (uphill, hurried):
        assert (found.step, found.value) == (0, 1)
    np.testing.assert_array_equal(uphill.grad, [2.0])
    assert hurried.num_linesearch_steps == 2
    for length in (1e3, 1e30):  # a first step that is much too long is not only halved
        assert search(zoom(20), lambda_square, jnp.array([1.0]), jnp.array([-length])).value < 1


def test_the_longest_step_is_a_bound(x64):
    found = search(zoom(max_learning_rate=3.0), lambda_square, jnp.array([1.0]), jnp.array([-1e-3]))
    assert found.step == 3
    assert found.decrease_error == 0
    assert found.curvature_error > 0


@pytest.mark.full
def test_a_batch_of_searches_is_the_loop(x64):
    x, d = (jnp.stack(part) for part in map(list, zip(*starts(1), strict=True)))
    rules = jax.vmap(lambda c2: zoom(curv_rtol=c2))(jnp.linspace(0.1, 0.9, len(x)))
    batch = jax.jit(jax.vmap(lambda rule, x, d: search(rule, rosenbrock(), x, d)))(rules, x, d)
    for i in range(len(x)):
        one = search(jax.tree.map(lambda leaf, i=i: leaf[i], rules), rosenbrock(), x[i], d[i])
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-9, atol=1e-12), batch, one)


@pytest.mark.full
@pytest.mark.parametrize("c2", [0.9, 0.05])
def test_the_step_has_a_gradient(c2, x64):
    """By the loss's numbers, through expansion and interpolation, as central differences say."""
    x, d = jnp.array([-1.2, 1.0]), jnp.array([0.1, 0.03])

    @jax.jit
    def where(b):
        f = jax.value_and_grad(lambda x: rosenbrock(1.0, b)(x))
        found = zoom(curv_rtol=c2).search(f, x, d, *f(x), guess=7.0)
        return found.step, found.num_linesearch_steps

    h = 1e-5
    expected = (where(100 + h)[0] - where(100 - h)[0]) / (2 * h)
    assert where(100.0)[1] >= 2
    assert abs(expected) > 1e-4
    found = jax.grad(lambda b: where(b)[0])(100.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    _, forward = jax.jvp(lambda b: where(b)[0], (100.0,), (1.0,))
    np.testing.assert_allclose(forward, expected, rtol=1e-5)


@pytest.mark.parametrize("arguments", [{"slope_rtol": 1.0}, {"increase_factor": 1.0}, {"tol": -1.0}])
def test_mistakes_are_named(arguments):
    with pytest.raises(ValueError, match=rf"zoom\({next(iter(arguments))}\)"):
        zoom(**arguments)
    with pytest.raises(ValueError, match=r"zoom\(max_linesearch_steps\) is 0"):
        zoom(0)


@pytest.mark.parametrize(("slope", "taken"), [(0.35, True), (0.45, False)])
def test_the_approximate_condition_is_hager_and_zhangs(slope, taken, x64):
    """f rises by a rounding error, c₁ = 0.3: from a slope of −1 one up to (2·0.3 − 1)·(−1) = 0.4 passes."""

    def flat(point):
        start = point == 0
        return jnp.where(start, 1.0, 1.0 + 1e-9)[0], jnp.where(start, -1.0, slope)

    one, rule = jnp.ones(1), zoom(1, slope_rtol=0.3, curv_rtol=0.9)
    assert float(rule.search(flat, 0 * one, one, *flat(0 * one)).step) == taken
    strict = zoom(1, slope_rtol=0.3, curv_rtol=0.9, approx_dec_rtol=None)
    assert float(strict.search(flat, 0 * one, one, *flat(0 * one)).step) == 0


def test_a_bracket_that_is_narrow_enough_is_given_up(x64):
    """No slope is small enough for c₂ = 0, so only the width of the bracket ends the search early."""
    loss = jax.tree_util.Partial(lambda x: jnp.sum(jnp.cosh(3 * x) + x))
    counts = [
        search(
            zoom(40, curv_rtol=0.0, stepsize_precision=precision, approx_dec_rtol=None),
            loss, jnp.ones(1), -3.0 * jnp.ones(1),
        ).num_linesearch_steps
        for precision in (0.5, 1e-3, 1e-12)
    ]  # fmt: skip
    assert counts[0] < counts[1] <= counts[2]


@pytest.mark.parametrize(("tol", "taken"), [(0.25, False), (0.35, True)])
def test_a_condition_may_fail_by_the_tolerance(tol, taken, x64):
    """f stays where it is: the first condition with c₁ = 0.3 and a slope of −1 fails by 0.3."""

    def flat(point):
        return jnp.ones(()), jnp.where(point == 0, -1.0, 0.1)

    one, rule = jnp.ones(1), zoom(1, slope_rtol=0.3, curv_rtol=0.9, approx_dec_rtol=None, tol=tol)
    assert float(rule.search(flat, 0 * one, one, *flat(0 * one)).step) == taken


@pytest.mark.parametrize(
    ("minimum", "other", "expected"), [(0.25, 5.0, 0.25), (0.15, 5.0, 2.25 / 16.55), (0.15, 0.5, 0.5)]
)
def test_the_next_trial_is_no_nearer_to_an_end_than_a_fifth_or_a_tenth(minimum, other, expected, x64):
    """Of f' = 3(x − m)(x + c), known at 0, 1 and 2: the cubic's m, if it is between 0.2 and 0.8.

    Else the minimum 3mc/(2 + 3(c − m)) of the parabola through f(0), f'(0) and f(1), if that is between 0.1
    and 0.9; else the middle. These are the margins of `scipy.optimize.line_search`.
    """
    m, c = minimum, other
    f = np.poly1d([1, 1.5 * (c - m), -3 * m * c, 0.7])
    low, high, third = (Trial(*map(jnp.asarray, (float(x), f(x), f.deriv()(x)))) for x in (0, 1, 2))
    np.testing.assert_allclose(interpolate(low, high, third), expected, rtol=1e-9)

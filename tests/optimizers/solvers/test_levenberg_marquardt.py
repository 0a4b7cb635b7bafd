"""Gauss–Newton and Levenberg–Marquardt beside the normal equations, and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import gauss_newton, levenberg_marquardt
from jaxopt_notes.optimizers.solvers.trust_region import damped_step, damping_within, norm
from tests.optimizers.solver_runs import solve

T = np.linspace(0.0, 3.0, 20)
Y = 2.0 * np.exp(-1.3 * T) + 0.4 + 0.05 * np.sin(9 * T)
T32, Y32 = T.astype(np.float32), Y.astype(np.float32)
START = np.array([1.0, -0.2, 0.0])
FAR = np.array([-0.3, 1.5, 1.0])


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


def moves_by_hand(p, steps, scaling, damping, increase, decrease):
    """Moré's method from the normal equations, λ by bisection: parameters, λ, radius and refusals."""
    norms = np.zeros(3)
    radius = None
    for i in range(steps):
        r, j = by_hand(p)
        norms = np.maximum(norms, np.linalg.norm(j, axis=0))
        d = norms if scaling == "columns" else np.ones(3)

        def step(damping, j=j, r=r, d=d):
            return -np.linalg.solve(j.T @ j + damping * np.diag(d**2), j.T @ r)

        found = damping if radius is None else 0.0
        if radius is None and damping is None:
            found, radius = 0.0, np.linalg.norm(d * p)
        if radius is not None and np.linalg.norm(d * step(0.0)) > radius:
            low, high = 1e-20, 1e20
            while high / low > 1 + 1e-14:
                found = np.sqrt(low * high)
                low, high = (found, high) if np.linalg.norm(d * step(found)) > radius else (low, found)
        move = step(found)
        size = np.linalg.norm(d * move)
        if i == 0:
            radius = size if radius is None else min(radius, size)
        inside = size < 0.99 * radius
        before, after = r @ r, (by_hand(p + move)[0] ** 2).sum()
        straight, bent = np.sum((j @ move) ** 2), found * size**2
        share = (before - after) / (straight + 2 * bent)
        if share <= 0.25:
            least = 0.5 if after <= before else (straight + bent) / (2 * (straight + bent) + after - before)
            radius = np.clip(least, 1 / increase, 0.5) * min(radius, increase * size)
        elif share >= 0.75 or inside:
            radius = size / decrease
        p = p + move if after <= before else p
        yield p, found, radius, after <= before


@pytest.mark.parametrize("damping", [None, 1e-4])
@pytest.mark.parametrize("scaling", ["identity", "columns"])
def test_levenberg_marquardt_is_mores_method(scaling, damping, x64):
    """Steps, λ, radii and refusals, as long as values differ by more than rounding."""
    optimizer, steps = levenberg_marquardt(damping, 8.0, 0.25, scaling), 8
    points, states = solve(optimizer, half_square, jnp.asarray(FAR), steps, residual_fn=decay)
    expected = list(moves_by_hand(FAR, steps, scaling, damping, 8.0, 0.25))
    for i, (p, found, radius, better) in enumerate(expected):
        assert states.accepted[i] == better
        np.testing.assert_allclose(points[i + 1], p, rtol=1e-7)
        np.testing.assert_allclose(states.damping[i], found, rtol=1e-6, atol=1e-20)
        np.testing.assert_allclose(states.radius[i], radius, rtol=1e-7)
    assert not all(better for *_, better in expected)
    assert sum(found > 1e-20 for _, found, *_ in expected) >= 3  # the radius was a bound
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
    optimizer = levenberg_marquardt(scaling="columns")
    found, _ = solve(optimizer, half_square, jnp.asarray(START), 6, residual_fn=decay)
    scaled, _ = solve(
        optimizer, half_square, jnp.asarray(START / units), 6, residual_fn=lambda q: decay(q * units)
    )
    np.testing.assert_allclose(np.asarray(scaled) * units, found, rtol=1e-7)


def test_the_damping_is_the_least_within_the_radius_and_has_derivatives(x64):
    """Over ten orders of magnitude; the derivative is that of central differences, 0 where nothing binds."""
    rng = np.random.default_rng(0)
    j, r = rng.normal(size=(6, 3)) * [1.0, 1e3, 1e-4], rng.normal(size=6)
    scale = np.array([1.0, 2.0, 0.1])
    free = np.linalg.norm(scale * np.linalg.lstsq(j, -r, rcond=None)[0])
    radii = free * np.array([0.999, 0.1, 1e-3, 1e-6, 1e-10, 2, np.inf])

    @jax.jit
    @jax.vmap
    def found(radius):
        within = lambda radius: damping_within(jnp.asarray(j), jnp.asarray(r), scale, radius)  # noqa: E731
        damping, slope = jax.value_and_grad(within)(radius)
        step = damped_step(jnp.asarray(j), jnp.asarray(r), damping, jnp.asarray(scale))
        return damping, slope, within(radius * (1 + 1e-5)) - within(radius * (1 - 1e-5)), norm(scale * step)

    dampings, slopes, differences, lengths = map(np.asarray, found(radii))
    np.testing.assert_allclose(lengths[:5], radii[:5], rtol=1e-6)
    np.testing.assert_allclose(slopes[:5], differences[:5] / (2e-5 * radii[:5]), rtol=1e-4)
    assert (dampings[5:] < 1e-20).all()
    assert not slopes[5:].any()


@pytest.mark.parametrize("size", [1e-15, 1e15])
def test_residuals_of_any_size_in_single_precision(size):
    """Squares of 1e-30 and 1e30: the same steps as those of ordinary residuals."""
    ordinary = jax.tree_util.Partial(lambda p: jnp.sum(jnp.asarray(FAR, jnp.float32) * p))

    def residual_fn(scale):
        return lambda p: scale * (p[0] * jnp.exp(p[1] * T32) + p[2] - Y32)

    start = jnp.asarray(FAR, jnp.float32)
    for scaling in ("identity", "columns"):
        optimizer = levenberg_marquardt(scaling=scaling)
        expected, _ = solve(optimizer, ordinary, start, 12, residual_fn=residual_fn(1.0))
        found, _ = solve(optimizer, ordinary, start, 12, residual_fn=residual_fn(jnp.float32(size)))
        np.testing.assert_allclose(found[-1], expected[-1], rtol=1e-3)


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
    """Of length 0, and the radius stays one from which it can go on."""
    optimizer = levenberg_marquardt(0.1, 8.0, 0.25)
    start = jnp.array([1.0, 2.0])
    state = optimizer.init(start)
    for _ in range(2):
        updates, state = optimizer.update(jnp.zeros(2), state, start, residual_fn=lambda p: p - start)
        assert state.accepted
        np.testing.assert_array_equal(updates, 0)
        assert 0 < state.radius < 1e-10
    target = start + 1e-3
    x = start
    for _ in range(30):
        updates, state = optimizer.update(jnp.zeros(2), state, x, residual_fn=lambda p: p - target)
        x = x + updates
    np.testing.assert_allclose(x, target, rtol=1e-12)

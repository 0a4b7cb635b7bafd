"""L-BFGS beside its definition: the matrix that the last m pairs make of γI."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import bfgs, lbfgs, zoom
from jaxopt_notes.optimizers.solvers.lbfgs import two_loops
from jaxopt_notes.problems import rosenbrock
from tests.optimizers.solver_runs import assert_strong_wolfe, solve, valley


def inverse_hessian(pairs, gamma, n):
    """Equation 6.17 of Nocedal & Wright, for each pair, the oldest first."""
    h = gamma * np.eye(n)
    for s, y in pairs:
        rho = 1 / (s @ y)
        v = np.eye(n) - rho * np.outer(y, s)
        h = v.T @ h @ v + rho * np.outer(s, s)
    return h


def random_pairs(count, n, seed=0):
    """Steps, and what a positive definite Hessian makes of them."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, n))
    hessian = a @ a.T + np.eye(n)
    return [(s, hessian @ s) for s in rng.normal(size=(count, n))]


@pytest.mark.notes("S1-67")
@pytest.mark.parametrize(("stored", "memory"), [(0, 4), (3, 4), (4, 4), (7, 4), (3, 1)])
def test_the_two_loops_are_the_matrix_of_the_last_pairs(stored, memory, x64):
    n, gamma = 5, 0.3
    pairs = random_pairs(stored, n)
    ring = np.zeros((2, memory, n))
    weights = np.zeros(memory)
    for i, (s, y) in enumerate(pairs):
        ring[:, i % memory], weights[i % memory] = (s, y), 1 / (s @ y)
    h = inverse_hessian(pairs[-memory:], gamma, n)
    vector = np.random.default_rng(1).normal(size=n)
    arrays = (jnp.asarray(x) for x in (vector, *ring, weights))
    found = two_loops(*arrays, jnp.array(gamma), jnp.array(stored, jnp.int32))
    np.testing.assert_allclose(found, h @ vector, rtol=1e-10)
    if pairs:  # the secant equation
        s, y = pairs[-1]
        arrays = (jnp.asarray(x) for x in (y, *ring, weights))
        found = two_loops(*arrays, jnp.array(gamma), jnp.array(stored, jnp.int32))
        np.testing.assert_allclose(found, s, rtol=1e-9)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("memory", [1, 3, 20])
def test_a_run_without_search_is_the_definition(memory, scaled, x64):
    rate = 0.1 if scaled else 1e-3
    optimizer = lbfgs(rate, memory, scaled, linesearch=None)
    points, _ = solve(optimizer, rosenbrock(), jnp.array([-1.2, 1.0, 0.5]), 15)
    x, pairs, last = np.array([-1.2, 1.0, 0.5]), [], None
    for point in points:
        np.testing.assert_allclose(point, x, rtol=1e-9)
        g = valley(x)[1]
        if last is not None and (x - last[0]) @ (g - last[1]) > 0:
            pairs.append((x - last[0], g - last[1]))
        gamma = 1.0
        if scaled:
            s, y = pairs[-1] if pairs else (None, None)
            gamma = s @ y / (y @ y) if pairs else min(1, 1 / np.linalg.norm(g))
        last = x, g
        x = x - rate * inverse_hessian(pairs[-memory:], gamma, 3) @ g


def test_with_memory_for_all_pairs_it_is_bfgs(x64):
    start = jnp.array([-1.2, 1.0])
    found, _ = solve(lbfgs(memory_size=30, scale_init_precond=False), rosenbrock(), start, 30)
    expected, _ = solve(bfgs(scale_init_precond=False), rosenbrock(), start, 30)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.full
@pytest.mark.notes("S1-67")
@pytest.mark.parametrize("n", [2, 10])
def test_rosenbrock_to_1e_8(n, x64):
    """And each step satisfies the strong Wolfe conditions, up to the rounding of the values."""
    start = jnp.tile(jnp.array([-1.2, 1.0]), n // 2)
    points, states = solve(
        lbfgs(linesearch=zoom(approx_dec_rtol=None)), rosenbrock(), start, 40 if n == 2 else 100
    )
    np.testing.assert_allclose(points[-1], 1, atol=1e-8)
    assert_strong_wolfe(valley, points[:30], 1e-4, 0.9)
    assert (states.inner.weights_memory >= 0).all()


@pytest.mark.full
def test_rosenbrock_in_single_precision():
    points, _ = solve(lbfgs(), rosenbrock(), jnp.array([-1.2, 1.0]), 45)
    np.testing.assert_allclose(points[-1], 1, atol=1e-4)


@pytest.mark.full
def test_a_batch_of_starts_is_the_loop(x64):
    starts = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))
    batch = jax.jit(jax.vmap(lambda x: solve(lbfgs(), rosenbrock(), x, 12)[0]))(starts)
    for start, found in zip(starts, batch, strict=True):
        np.testing.assert_allclose(found, solve(lbfgs(), rosenbrock(), start, 12)[0], rtol=1e-6, atol=1e-9)


def test_a_pair_of_negative_curvature_is_left_out(x64):
    optimizer, x = lbfgs(0.1, linesearch=None), jnp.array([1.0, 1.0])
    state = optimizer.init(x)
    _, state = optimizer.update(jnp.array([1.0, 0.0]), state, x)
    _, state = optimizer.update(jnp.array([2.0, 0.0]), state, x - 0.1)  # s = −0.1, y = +1
    assert state.pairs == 0
    np.testing.assert_array_equal(state.weights_memory, 0)
    _, state = optimizer.update(jnp.array([1.0, 0.0]), state, x - 0.2)
    assert state.pairs == 1
    np.testing.assert_allclose(state.weights_memory[0], 1 / 0.1)


def test_after_a_search_that_failed_the_memory_starts_anew(x64):
    """Twice at the same point: the next direction is the gradient itself, then again no longer than 1."""
    optimizer, x = lbfgs(linesearch=None), jnp.array([1.0, 1.0])
    state = optimizer.init(x)
    for point, g in ((x, [1.0, 2.0]), (x - 0.1, [0.5, 1.0]), (x - 0.1, [0.3, 4.0])):
        updates, state = optimizer.update(jnp.array(g), state, point)
    assert state.pairs == 0
    np.testing.assert_allclose(updates, -np.array([0.3, 4.0]))
    updates, state = optimizer.update(jnp.array([0.3, 4.0]), state, x - 0.1)
    np.testing.assert_allclose(updates, -np.array([0.3, 4.0]) / np.hypot(0.3, 4.0))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"lbfgs\(memory_size\) is 0"):
        lbfgs(memory_size=0)
    with pytest.raises(ValueError, match=r"lbfgs\(learning_rate\)"):
        lbfgs(-1.0)

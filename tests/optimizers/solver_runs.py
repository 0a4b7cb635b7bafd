"""What the tests of solvers share: a run that gives them the loss, and Rosenbrock's valley in NumPy."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.optimizers import apply_updates


def solve(optimizer, loss, start, steps, residual_fn=None):
    """Points `[1 + steps, …]`, the start first, and the state after each step; the loss is a pytree."""
    return jax.device_get(solution(optimizer, loss, start, steps, residual_fn))


@functools.partial(jax.jit, static_argnames=("steps", "residual_fn"))
def solution(optimizer, loss, start, steps, residual_fn=None):
    """The same, on the device: for those that map over starts."""

    def step(carry, _):
        params, state = carry
        value, grad = jax.value_and_grad(loss)(params)
        extra = {} if residual_fn is None else {"residual_fn": residual_fn}
        updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=loss, **extra)
        params = apply_updates(params, updates)
        return (params, state), (params, state)

    _, (points, states) = lax.scan(step, (start, optimizer.init(start)), length=steps)
    return jax.tree.map(lambda x, xs: jnp.concatenate([x[None], xs]), start, points), states


def valley(x):
    """Rosenbrock's function and its gradient."""
    here, there = x[:-1], x[1:]
    slope = np.zeros_like(x)
    slope[:-1] = -2 * (1 - here) - 400 * here * (there - here**2)
    slope[1:] += 200 * (there - here**2)
    return np.sum((1 - here) ** 2 + 100 * (there - here**2) ** 2), slope


def assert_strong_wolfe(function, points, c1, c2, rounding=1e-13):
    """Both conditions from each point to the next, as long as the points differ."""
    points = np.asarray(points, np.float64)
    moves = [(a, b) for a, b in itertools.pairwise(points) if (a != b).any()]
    assert moves
    for before, after in moves:
        (f0, g0), (f1, g1) = function(before), function(after)
        slope = g0 @ (after - before)
        assert slope < 0
        assert f1 <= f0 + c1 * slope + rounding * (1 + abs(f0))
        assert abs(g1 @ (after - before)) <= c2 * abs(slope) + rounding

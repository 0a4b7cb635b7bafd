"""BFGS for a handful of numbers, with a budget of evaluations.

Each turn of the loop evaluates the function once, at a trial point: if that is lower enough it is taken
and the next direction is planned, else the step is shortened. There is one place in the program that
evaluates, so that it compiles quickly, and the time that it takes is bounded.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Descent(NamedTuple):
    """Where the search is, and the step that it tries."""

    x: jax.Array
    value: jax.Array
    slope: jax.Array
    inverse: jax.Array  # of the Hessian, as far as it is known
    learned: jax.Array  # whether anything is known
    step: jax.Array
    evaluations: jax.Array


def minimize(
    f: Callable[[jax.Array], jax.Array], start: jax.Array, evaluations: int = 60, tolerance: float = 1e-2
) -> jax.Array:
    """A point lower than `start`, a local minimum if the budget allows.

        x ← x − t·H∇f,   t quartered until f falls by 10⁻⁴·t·∇fᵀH∇f
        H ← (I − ρsyᵀ)·H·(I − ρysᵀ) + ρssᵀ,   s = Δx,  y = Δ∇f,  ρ = 1/sᵀy,   if sᵀy > 0

    Arguments:
        f: a smooth function of a vector [n]; where it is not finite no step leads.
        start: a vector [n] at which f is finite.
        evaluations: of f and its gradient, at most.
        tolerance: it ends where no component of the gradient is larger, or no step makes f fall.

    Example:
        >>> x = minimize(lambda x: jnp.sum((x - 2.0) ** 4 + x**2), jnp.zeros(1), tolerance=1e-4)
        >>> print(f"{x[0]:.3f}")
        1.165

    Source: Nocedal & Wright 2006, algorithm 6.1, with a backtracking line search.

    Elsewhere: `jax.scipy.optimize.minimize` finds steps by Wolfe's conditions, up to ten evaluations each.
    """
    value_and_slope = jax.value_and_grad(f)
    eye, eps = jnp.eye(len(start), dtype=start.dtype), jnp.finfo(start.dtype).eps

    def direction(slope: jax.Array, inverse: jax.Array) -> jax.Array:
        return -jnp.sum(inverse * slope[None, :], axis=1)

    def goes_on(now: Descent) -> jax.Array:
        moves = jnp.max(jnp.abs(now.step)) > eps * (1 + jnp.max(jnp.abs(now.x)))
        return (now.evaluations < evaluations) & (jnp.max(jnp.abs(now.slope)) > tolerance) & moves

    def attempt(now: Descent) -> Descent:
        trial = now.x + now.step
        value, slope = value_and_slope(trial)
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope))
        lower = finite & (value <= now.value + 1e-4 * jnp.sum(now.step * now.slope))
        change = jnp.where(lower, slope - now.slope, 0)
        curvature = jnp.sum(now.step * change)
        convex = curvature > eps * jnp.sum(change**2)
        rho = jnp.where(convex, 1 / jnp.where(convex, curvature, 1), 0)
        # the scale of the first H is that of the first curvature found
        scale = curvature / jnp.maximum(jnp.sum(change**2), jnp.finfo(start.dtype).tiny)
        known = jnp.where(now.learned, now.inverse, scale * eye)
        turn = eye - rho * change[:, None] * now.step[None, :]
        updated = _dot(_dot(turn.T, known), turn) + rho * now.step[:, None] * now.step[None, :]
        inverse = jnp.where(convex, updated, now.inverse)
        count = now.evaluations + 1
        taken = Descent(trial, value, slope, inverse, now.learned | convex, direction(slope, inverse), count)
        shorter = now._replace(step=now.step / 4, evaluations=count)
        return jax.tree.map(lambda a, b: jnp.where(lower, a, b), taken, shorter)

    value, slope = value_and_slope(start)
    inverse = eye / jnp.maximum(1, jnp.linalg.norm(slope))
    begin = Descent(
        start, value, slope, inverse, jnp.asarray(False), direction(slope, inverse), jnp.asarray(1)
    )
    return lax.while_loop(goes_on, attempt, begin).x


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")

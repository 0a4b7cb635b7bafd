"""The damping of a least-squares step that may not be longer than a given radius.

A radius says how far a linear model is believed. Of all steps within it the model's best one solves the
damped equations for one λ, and λ is found from the singular values: each trial costs n operations, so that
it is found to the last digit.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.numerics import precise_matmul, safe_divide, safe_sqrt


@jax.jit
def damped_step(jac: jax.Array, r: jax.Array, damping: jax.Array, scale: jax.Array) -> jax.Array:
    """−(JᵀJ + λD²)⁻¹·Jᵀr, as the least-squares solution of [J; √λ·D]·d = [−r; 0].

    Arguments:
        jac: J [m, n]. r: [m]. damping: λ ≥ 0.
        scale: D [n], a diagonal.
    """
    q, upper = jnp.linalg.qr(jnp.concatenate([jac, jnp.diag(safe_sqrt(damping) * scale)]))
    target = -precise_matmul(q[: len(r)].T, r)
    return jax.scipy.linalg.solve_triangular(upper, target)


def norm(x: jax.Array) -> jax.Array:
    """‖x‖ of a vector of any scale: what `global_norm` is for trees, in a program half as large."""
    largest = lax.stop_gradient(jnp.max(jnp.abs(x)))
    largest = jnp.where(largest > 0, largest, jnp.ones_like(largest))
    return largest * safe_sqrt(jnp.sum((x / largest) ** 2))


def length(jac: jax.Array, r: jax.Array, scale: jax.Array, damping: jax.Array) -> jax.Array:
    """‖D·d‖ of the damped step."""
    return norm(scale * damped_step(jac, r, damping, scale))


@jax.custom_jvp
def damping_within(jac: jax.Array, r: jax.Array, scale: jax.Array, radius: jax.Array) -> jax.Array:
    """The least λ whose step satisfies ‖D·d‖ ≤ radius; almost 0, (ε·σ_max)², where Gauss–Newton's does.

    Arguments:
        jac: J [m, n]. r: [m]. scale: D [n], positive.
        radius: > 0; `inf` bounds nothing.

    Source: Moré 1978, "The Levenberg-Marquardt algorithm: implementation and theory", section 5:
    Newton's method on 1/‖D·d(λ)‖ = 1/radius, which is concave in λ: from the left it never overshoots.
    """
    u, s, _ = jnp.linalg.svd(jac / scale[None, :], full_matrices=False)
    largest, size = (jnp.where(x > 0, x, jnp.ones_like(x)) for x in (s[0], jnp.max(jnp.abs(r))))
    s, g, bound = s / largest, precise_matmul(u.T, r / size), radius * (largest / size)

    def body(carry: tuple) -> tuple:
        """The step of λ that Newton's method makes, and how far beyond the radius the one before led."""
        damping, change, _, count = carry
        damping = damping + change
        shrunk = s**2 + damping
        squares = (s / shrunk * g) ** 2
        excess = jnp.sqrt(jnp.sum(squares)) / bound - 1
        return damping, excess * safe_divide(jnp.sum(squares), jnp.sum(squares / shrunk)), excess, count + 1

    def unfinished(carry: tuple) -> jax.Array:
        _, _, excess, count = carry
        return (excess > 8 * jnp.finfo(s.dtype).eps) & (count < 50)

    zero, floor = jnp.zeros_like(bound), jnp.full_like(bound, jnp.finfo(s.dtype).eps ** 2)
    begin = floor, zero, jnp.ones_like(bound), jnp.zeros((), jnp.int32)
    return lax.while_loop(unfinished, body, begin)[0] * largest**2


@damping_within.defjvp
def _damping_within_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """By the implicit function theorem; where the radius does not bind λ depends on nothing."""
    (jac, r, scale, radius), (*directions, faster) = primals, tangents
    damping = damping_within(jac, r, scale, radius)
    now, change = jax.jvp(lambda j, r, d: length(j, r, d, damping), (jac, r, scale), tuple(directions))
    _, slope = jax.jvp(lambda x: length(jac, r, scale, x), (damping,), (jnp.ones_like(damping),))
    binds = (jnp.abs(now - radius) < 0.01 * radius) & (slope < 0) & jnp.isfinite(radius)
    return damping, jnp.where(binds, (faster - change) / jnp.where(binds, slope, jnp.ones_like(slope)), 0)

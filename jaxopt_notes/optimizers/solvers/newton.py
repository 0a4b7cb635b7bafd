"""Newton's method: to where a parabola through the loss, its slope and its curvature has its minimum.

With the Hessian as a matrix, or without it: conjugate gradients need only its products with vectors,
each of which costs about two gradients.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.numerics import precise_matmul, precise_vdot
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    require_params,
)
from jaxopt_notes.optimizers.core.trainable import moved, moving, objective, ravel, scalar
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class NewtonState(NamedTuple):
    """Steps made."""

    count: jax.Array


@record
class Newton(Transform):
    """See `newton`."""

    learning_rate: Rate
    damping: Number

    def init(self, params: Tree) -> NewtonState:
        return NewtonState(first_step())

    def update(
        self,
        updates: Tree,
        state: NewtonState,
        params: Tree = None,
        *,
        value_fn: Callable | None = None,
        downwards: bool = False,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, NewtonState]:
        params = require_params("newton", params)
        grads, here = moving(updates, params)
        (g, unravel), (x, _) = ravel(grads), ravel(here)
        loss = objective("newton", "value_fn", value_fn, params, unravel, extra)
        if g.size:
            damping = as_hyperparameter(self.damping).astype(g.dtype)
            direction = self.solve(lambda x: scalar(loss(x), g.dtype), x, g, damping, downwards)
            g = -rate_at(self.learning_rate, state.count).astype(g.dtype) * direction
        new = select(accept, NewtonState(increment(state.count)), state)
        return moved(unravel(g), updates, params, accept), new

    def solve(
        self, loss: Callable, x: jax.Array, g: jax.Array, damping: jax.Array, downwards: bool = False
    ) -> jax.Array:
        """(H + λI)⁻¹·g, H the Hessian at x; `downwards` makes the matrix positive definite."""
        hessian = jax.hessian(loss)(x) + damping * jnp.eye(g.size, dtype=g.dtype)
        return jnp.linalg.solve(hessian + positive_shift(hessian) if downwards else hessian, g)


def positive_shift(hessian: jax.Array) -> jax.Array:
    """What makes a symmetric matrix positive definite: its eigenvalues become their magnitudes.

    None is smaller than n·ε times the largest. Exactly 0 for a matrix that is positive definite. A constant
    to derivatives.

    Source: Nocedal & Wright 2006, section 3.4, "eigenvalue modification"; Dauphin et al. 2014 for the
    magnitudes, which keep the length of Newton's step along each eigenvector.
    """
    hessian = lax.stop_gradient(hessian)
    values, vectors = jnp.linalg.eigh(hessian)
    magnitudes = jnp.abs(values)
    largest = jnp.max(magnitudes)
    largest = jnp.where(largest > 0, largest, jnp.ones_like(largest))
    least = largest * (len(values) * jnp.finfo(values.dtype).eps)
    change = jnp.where(values >= least, jnp.zeros_like(values), jnp.maximum(magnitudes, least) - values)
    return precise_matmul(vectors * change[None, :], vectors.T)


@record
class NewtonCG(Newton):
    """See `newton_cg`."""

    tol: Number
    max_iterations: int | None = static()

    def solve(
        self, loss: Callable, x: jax.Array, g: jax.Array, damping: jax.Array, downwards: bool = False
    ) -> jax.Array:
        """The same by conjugate gradients, until the residual is `tol` of ‖g‖.

        With `downwards` they end where the curvature is negative, at what was found until then.
        """
        from jax.scipy.sparse.linalg import cg

        _, hessian_times = jax.linearize(jax.grad(loss), x)
        tol = lax.stop_gradient(as_hyperparameter(self.tol).astype(g.dtype))

        def product(v: jax.Array) -> jax.Array:
            return hessian_times(v) + damping * v

        if not downwards:
            return cg(product, g, tol=tol, maxiter=self.max_iterations)[0]
        most = 10 * g.size if self.max_iterations is None else self.max_iterations

        def solve(product: Callable, b: jax.Array) -> jax.Array:
            return truncated_conjugate_gradients(product, b, tol, most)

        return lax.custom_linear_solve(product, g, solve, symmetric=True)


class Conjugate(NamedTuple):
    """A run of conjugate gradients: solution, residual, direction, ‖residual‖², products, the end."""

    x: jax.Array
    r: jax.Array
    d: jax.Array
    square: jax.Array
    count: jax.Array
    over: jax.Array


def truncated_conjugate_gradients(
    product: Callable, b: jax.Array, tol: jax.Array, max_iterations: int
) -> jax.Array:
    """A solution of A·x = b with bᵀx > 0, whatever the symmetric A: it ends at negative curvature.

    At the first direction, which is b, it goes as far as the magnitude of the curvature there says.

    Source: Nocedal & Wright 2006, algorithm 7.1; Dembo & Steihaug 1983.
    """
    size = jnp.max(jnp.abs(b))
    size = jnp.where(size > 0, size, jnp.ones_like(size))  # squares neither over- nor underflow
    b = b / size

    def body(now: Conjugate) -> Conjugate:
        turned = product(now.d)
        curvature = precise_vdot(now.d, turned)
        flat = jnp.abs(curvature) <= jnp.finfo(b.dtype).eps * jnp.sqrt(
            precise_vdot(now.d, now.d) * precise_vdot(turned, turned)
        )
        positive = (curvature > 0) & ~flat
        first = now.count == 0
        safe = jnp.where(flat, jnp.ones_like(curvature), jnp.abs(curvature))
        step = jnp.where(flat, 1.0, now.square / safe)
        x = jnp.where(positive | first, now.x + step * now.d, now.x)
        r = now.r - step * turned
        square = precise_vdot(r, r)
        d = r + square / now.square * now.d
        over = ~positive | (jnp.sqrt(square) <= tol * jnp.linalg.norm(b)) | (now.count + 1 >= max_iterations)
        return Conjugate(x, r, d, square, now.count + 1, over)

    square = precise_vdot(b, b)
    begin = Conjugate(jnp.zeros_like(b), b, b, square, jnp.zeros((), jnp.int32), square == 0)
    return size * lax.while_loop(lambda now: ~now.over, body, begin).x


def newton(learning_rate: Rate = 1.0, damping: Number = 0.0) -> Newton:
    """Newton's method, with the Hessian as a matrix.

        θ ← θ − η·(∇²L(θ) + λI)⁻¹·g

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; 1 is Newton's step.
        damping: λ ≥ 0: from Newton's step at 0 to one of gradient descent, η/λ·g, for large λ. One
            above −λ_min makes an indefinite Hessian positive.

    Returns:
        A `Newton` record. `update` needs `params` and `value_fn=`, the loss as a function of the
        parameters (called with them in at least float32). The Hessian of n parameters is n² numbers
        and n³ operations. It is quadratic convergence near a minimum, and near a saddle too: undamped
        it goes to any point without slope. `line_search(newton())` goes downwards always: it asks for a
        positive definite matrix (`update(..., downwards=True)`), in which negative eigenvalues have become
        their magnitudes.

    Raises:
        ValueError: a number outside its interval, `update` without params or value_fn.

    Example:
        >>> f = lambda x: jnp.sum(jnp.array([1.0, 10.0]) * (x - 3) ** 2)
        >>> optimizer, x = newton(), jnp.array([5.0, -5.0])
        >>> updates, _ = optimizer.update(jax.grad(f)(x), optimizer.init(x), x, value_fn=f)
        >>> print(x + updates)
        [3. 3.]

    Source: Nocedal & Wright 2006, section 3.3; rows S1-66, S3-16, S3-17 of the notes.

    Elsewhere: neither torch nor optax has it; `scipy.optimize.minimize(method="trust-exact")` is the
    safeguarded one.
    """
    return Newton(
        check_rate("newton(learning_rate)", learning_rate),
        check_number("newton(damping)", damping, "[0, inf)", "0 is Newton's step"),
    )


def newton_cg(
    learning_rate: Rate = 1.0, damping: Number = 0.0, tol: Number = 1e-5, max_iterations: int | None = None
) -> NewtonCG:
    """Newton's method without the Hessian: its products with vectors, in conjugate gradients.

        θ ← θ − η·d,     (∇²L(θ) + λI)·d = g up to ‖residual‖ ≤ tol·‖g‖

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        damping: λ ≥ 0; it must make the Hessian positive, or conjugate gradients mean nothing, except
            under `line_search`, where they end at the first direction of negative curvature.
        tol: > 0, when to stop, relative to ‖g‖. Derivatives of a training run are those of the exact
            solution.
        max_iterations: products at most; by default 10n. Static.

    Returns:
        A `NewtonCG` record. `update` needs `params` and `value_fn=`. It holds a few vectors of n
        numbers; a product costs about two gradients.

    Raises:
        ValueError: a number outside its interval, `update` without params or value_fn.

    Example:
        >>> f = lambda x: jnp.sum(jnp.array([1.0, 10.0]) * (x - 3) ** 2)
        >>> optimizer, x = newton_cg(), jnp.array([5.0, -5.0])
        >>> updates, _ = optimizer.update(jax.grad(f)(x), optimizer.init(x), x, value_fn=f)
        >>> [f"{number:.4f}" for number in x + updates]
        ['3.0000', '3.0000']

    Source: Martens 2010; Nocedal & Wright 2006, section 7.1; rows S1-66 and S3-17 of the notes.

    Elsewhere: `scipy.optimize.minimize(method="Newton-CG")` is this under a line search.
    """
    if max_iterations is not None:
        max_iterations = check_count("newton_cg(max_iterations)", max_iterations, 1)
    return NewtonCG(
        check_rate("newton_cg(learning_rate)", learning_rate),
        check_number("newton_cg(damping)", damping, "[0, inf)", "0 is Newton's step"),
        check_number("newton_cg(tol)", tol, "(0, inf)", "the usual value is 1e-5"),
        max_iterations,
    )

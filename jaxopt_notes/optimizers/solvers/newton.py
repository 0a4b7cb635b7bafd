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
        accept: Any = None,
        **extra: Any,
    ) -> tuple[Tree, NewtonState]:
        params = require_params("newton", params)
        grads, here = moving(updates, params)
        (g, unravel), (x, _) = ravel(grads), ravel(here)
        loss = objective("newton", "value_fn", value_fn, params, unravel, extra)
        if g.size:
            damping = as_hyperparameter(self.damping).astype(g.dtype)
            direction = self.solve(lambda x: scalar(loss(x), g.dtype), x, g, damping)
            g = -rate_at(self.learning_rate, state.count).astype(g.dtype) * direction
        new = select(accept, NewtonState(increment(state.count)), state)
        return moved(unravel(g), updates, params, accept), new

    def solve(self, loss: Callable, x: jax.Array, g: jax.Array, damping: jax.Array) -> jax.Array:
        """(H + λI)⁻¹·g, H the Hessian at x."""
        return jnp.linalg.solve(jax.hessian(loss)(x) + damping * jnp.eye(g.size, dtype=g.dtype), g)


@record
class NewtonCG(Newton):
    """See `newton_cg`."""

    tol: Number
    max_iterations: int | None = static()

    def solve(self, loss: Callable, x: jax.Array, g: jax.Array, damping: jax.Array) -> jax.Array:
        """The same by conjugate gradients, until the residual is `tol` of ‖g‖."""
        from jax.scipy.sparse.linalg import cg

        _, product = jax.linearize(jax.grad(loss), x)
        tol = lax.stop_gradient(as_hyperparameter(self.tol).astype(g.dtype))
        return cg(lambda v: product(v) + damping * v, g, tol=tol, maxiter=self.max_iterations)[0]


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
        it goes to any point without slope. `line_search(newton())` goes downwards always, as long as
        the Hessian is positive.

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
        damping: λ ≥ 0; it must make the Hessian positive, or conjugate gradients mean nothing.
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

    Elsewhere: `scipy.optimize.minimize(method="Newton-CG")` stops at directions of negative curvature.
    """
    if max_iterations is not None:
        max_iterations = check_count("newton_cg(max_iterations)", max_iterations, 1)
    return NewtonCG(
        check_rate("newton_cg(learning_rate)", learning_rate),
        check_number("newton_cg(damping)", damping, "[0, inf)", "0 is Newton's step"),
        check_number("newton_cg(tol)", tol, "(0, inf)", "the usual value is 1e-5"),
        max_iterations,
    )

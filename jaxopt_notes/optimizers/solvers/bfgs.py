"""BFGS: Newton directions from a matrix that learns the inverse Hessian from gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree, zeros_like
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import precise_matmul, precise_vdot, safe_divide
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    require_params,
)
from jaxopt_notes.optimizers.core.trainable import merge, moved, moving, places, ravel, restrict, stands_still
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.optimizers.solvers.line_search import LineSearch, check_search, line_search
from jaxopt_notes.optimizers.solvers.zoom import Zoom, zoom
from jaxopt_notes.record import record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class BFGSState(NamedTuple):
    """Steps made, pairs learned from; the last parameters and gradients; the inverse Hessian [n, n].

    `scaled` says whether the matrix begins with γI: a step that went nowhere turns it to I, the next back.
    """

    count: jax.Array
    pairs: jax.Array
    params: Tree
    updates: Tree
    inverse_hessian: jax.Array
    scaled: jax.Array


@record
class BFGS(Transform):
    """See `bfgs`."""

    learning_rate: Rate
    scale_init_precond: bool = static()

    def init(self, params: Tree) -> BFGSState:
        vector, _ = ravel(zeros_like(params))
        eye = jnp.eye(vector.size, dtype=vector.dtype)
        return BFGSState(
            first_step(), first_step(), zeros_like(params), zeros_like(params), eye, jnp.array(True)
        )

    def update(
        self, updates: Tree, state: BFGSState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, BFGSState]:
        grads, here = moving(updates, require_params("bfgs", params))
        (g, unravel), (x, _) = ravel(grads), ravel(here)
        s, y = x - ravel(restrict(state.params, here))[0], g - ravel(restrict(state.updates, here))[0]
        rows = np.ix_(*[places(here, state.params)] * 2)  # of the matrix: not all leaves may be moved
        whole = state.inverse_hessian
        h = whole[rows].astype(g.dtype)
        eye = jnp.eye(g.size, dtype=g.dtype)

        curvature = precise_vdot(s, y)
        stuck = (state.count > 0) & stands_still(s, x)  # nothing was found along the direction
        learned = (state.count > 0) & (curvature > 0) & ~stuck
        scaled = state.scaled ^ stuck
        anew = eye
        if self.scale_init_precond:  # the first step, along the gradient, is no longer than 1
            length = global_norm(y)  # its square may over- or underflow
            gamma = safe_divide(safe_divide(curvature, length), length)
            h = jnp.where(learned & (state.pairs == 0) & scaled, gamma * eye, h)
            anew = jnp.where(scaled, eye / jnp.maximum(global_norm(g), 1), eye)
        h = jnp.where(learned, learn(h, s, y), jnp.where((state.count == 0) | stuck, anew, h))
        pairs = jnp.where(stuck, 0, state.pairs + learned.astype(jnp.int32))

        rate = rate_at(self.learning_rate, state.count).astype(g.dtype)
        step = unravel(-rate * precise_matmul(h, g))
        new = BFGSState(
            increment(state.count), pairs, merge(here, state.params), merge(grads, state.updates),
            whole.at[rows].set(h.astype(whole.dtype)), scaled,
        )  # fmt: skip
        return moved(step, updates, params, accept), select(accept, new, state)


@jax.jit
def learn(h: jax.Array, s: jax.Array, y: jax.Array) -> jax.Array:
    """The inverse Hessian nearest to `h` that maps y to s: Vᵀ·H·V + ρ·ssᵀ, multiplied out in n² steps."""
    curvature = precise_vdot(s, y)
    rho = safe_divide(jnp.ones_like(curvature), curvature)
    hy = precise_matmul(h, y)
    cross = jnp.outer(s, hy)
    return h - rho * (cross + cross.T) + rho * (1 + rho * precise_vdot(y, hy)) * jnp.outer(s, s)


def bfgs(
    learning_rate: Rate = 1.0, scale_init_precond: bool = True, linesearch: Zoom | None = zoom()
) -> LineSearch | BFGS:
    """BFGS: the quasi-Newton method of Broyden, Fletcher, Goldfarb and Shanno, for losses without noise.

        s = θₖ₊₁ − θₖ,   y = gₖ₊₁ − gₖ,   ρ = 1/sᵀy,   V = I − ρ·ysᵀ
        H ← Vᵀ·H·V + ρ·ssᵀ             so that H·y = s
        θ ← θ − η·H·g                  η such that the strong Wolfe conditions hold

    Arguments:
        learning_rate: the first η that the search tries, or η itself without a search; a number or a
            schedule.
        scale_init_precond: the first H is I/max(‖g‖, 1), and γI with γ = sᵀy/yᵀy before it learns its
            first pair; else I. Static.
        linesearch: a `zoom`, or `None` for steps of η.

    Returns:
        A `LineSearch` record around a `BFGS`; its `update` needs `params` and `value_fn=`, see
        `line_search`. Without a search the bare `BFGS`. The state holds n² numbers for n parameters:
        beyond some thousands take `lbfgs`. A pair with sᵀy ≤ 0 is left out, and a step of length 0 (a
        search that failed) starts the matrix anew, as in `lbfgs`.

    Raises:
        ValueError: a negative rate, `update` without params or value_fn.

    Example:
        >>> f = lambda x: jnp.sum((x - 1) ** 4 + (x - 1) ** 2)
        >>> optimizer, x = bfgs(), jnp.array([3.0, -2.0])
        >>> @jax.jit
        ... def step(x, state):
        ...     value, grad = jax.value_and_grad(f)(x)
        ...     updates, state = optimizer.update(grad, state, x, value=value, grad=grad, value_fn=f)
        ...     return x + updates, state
        >>> state = optimizer.init(x)
        >>> for _ in range(15):
        ...     x, state = step(x, state)
        >>> print(jnp.round(x, 3))
        [1. 1.]

    Source: Nocedal & Wright 2006, algorithm 6.1, equations 6.17 and 6.20; row S1-67 of the notes.

    Elsewhere: `scipy.optimize.minimize(method="BFGS")` starts from H = I, does not scale it, and tries
    a first step by the last decrease. optax and torch have L-BFGS only.
    """
    direction = BFGS(check_rate("bfgs(learning_rate)", learning_rate), bool(scale_init_precond))
    if linesearch is None:
        return direction
    return line_search(direction, check_search("bfgs(linesearch)", linesearch))

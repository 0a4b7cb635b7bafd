"""Gauss–Newton and Levenberg–Marquardt: Newton's method for sums of squares, from first derivatives.

Where the loss is ½‖r(θ)‖², JᵀJ is the Hessian up to a term that vanishes with the residuals r. The step
is the least-squares solution of J·d = −r, by an orthogonal factorization of J: JᵀJ itself, which squares
the condition number, is never formed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float, real_dtype
from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    require_params,
)
from jaxopt_notes.optimizers.core.trainable import moved, moving, objective, ravel
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class GaussNewtonState(NamedTuple):
    """Steps made."""

    count: jax.Array


def residual_vector(
    where: str, residual_fn: Callable | None, params: Tree, unravel: Callable, kind: Any, extra: dict
) -> Callable[[jax.Array], jax.Array]:
    """All residuals, an array or a tree of them, as one vector [m] of the vector of what is moved."""
    residuals = objective(where, "residual_fn", residual_fn, params, unravel, extra)
    return lambda x: ravel(residuals(x))[0].astype(kind)


def jacobian(residuals: Callable, x: jax.Array) -> jax.Array:
    """J [m, n], by columns or by rows, whichever are fewer."""
    rows = jax.eval_shape(residuals, x).size
    return (jax.jacrev if rows < x.size else jax.jacfwd)(residuals)(x)


@jax.jit
def damped_step(jac: jax.Array, r: jax.Array, damping: jax.Array, scale: jax.Array) -> jax.Array:
    """−(JᵀJ + λD²)⁻¹·Jᵀr, as the least-squares solution of [J; √λ·D]·d = [−r; 0].

    Arguments:
        jac: J [m, n]. r: [m]. damping: λ ≥ 0.
        scale: D [n], a diagonal.
    """
    q, upper = jnp.linalg.qr(jnp.concatenate([jac, jnp.diag(safe_sqrt(damping) * scale)]))
    target = -jnp.matmul(q[: len(r)].T, r, precision="highest")
    return jax.scipy.linalg.solve_triangular(upper, target)


@record
class GaussNewton(Transform):
    """See `gauss_newton`."""

    learning_rate: Rate
    damping: Number

    def init(self, params: Tree) -> GaussNewtonState:
        return GaussNewtonState(first_step())

    def update(
        self,
        updates: Tree,
        state: GaussNewtonState,
        params: Tree = None,
        *,
        residual_fn: Callable | None = None,
        accept: Any = None,
        **extra: Any,
    ) -> tuple[Tree, GaussNewtonState]:
        params = require_params("gauss_newton", params)
        x, unravel = ravel(moving(updates, params)[1])
        residuals = residual_vector("gauss_newton", residual_fn, params, unravel, x.dtype, extra)
        step = x
        if x.size:
            damping = as_hyperparameter(self.damping).astype(x.dtype)
            rate = rate_at(self.learning_rate, state.count).astype(x.dtype)
            step = rate * damped_step(jacobian(residuals, x), residuals(x), damping, jnp.ones_like(x))
        new = select(accept, GaussNewtonState(increment(state.count)), state)
        return moved(unravel(step), updates, params, accept), new


def gauss_newton(learning_rate: Rate = 1.0, damping: Number = 0.0) -> GaussNewton:
    """Gauss–Newton: the residuals are replaced by their tangents, and least squares solved.

        L = ½‖r(θ)‖²,     θ ← θ − η·(JᵀJ + λI)⁻¹·Jᵀr,     J = ∂r/∂θ

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; 1 is the full step.
        damping: λ ≥ 0, a constant; 0 needs a J of full column rank.

    Returns:
        A `GaussNewton` record. `update` needs `params` and `residual_fn=`, from the parameters to an
        array (or a tree) of residuals; of the gradients it only looks where there are any, so
        `params` may stand for them. J is m × n numbers.

    Raises:
        ValueError: a number outside its interval, `update` without params or residual_fn.

    Example:
        >>> r = lambda x: jnp.array([x[0] - 1.0, 10.0 * (x[1] - x[0] ** 2)])
        >>> optimizer, x = gauss_newton(), jnp.array([-1.2, 1.0])
        >>> for _ in range(2):
        ...     updates, _ = optimizer.update(x, optimizer.init(x), x, residual_fn=r)
        ...     x = x + updates
        >>> print(jnp.round(x, 3))
        [1. 1.]

    Source: Nocedal & Wright 2006, section 10.3.

    Elsewhere: neither torch nor optax has it.
    """
    return GaussNewton(
        check_rate("gauss_newton(learning_rate)", learning_rate),
        check_number("gauss_newton(damping)", damping, "[0, inf)", "0 switches it off"),
    )


class LevenbergMarquardtState(NamedTuple):
    """Steps made; λ; whether the last trial was taken."""

    count: jax.Array
    damping: jax.Array
    accepted: jax.Array


@record
class LevenbergMarquardt(Transform):
    """See `levenberg_marquardt`."""

    damping: Number
    increase: Number
    decrease: Number
    scaling: str = static()

    def init(self, params: Tree) -> LevenbergMarquardtState:
        kind = real_dtype(compute_dtype(*(x for x in jax.tree.leaves(params) if is_float(x))))
        damping = as_hyperparameter(self.damping).astype(kind)
        return LevenbergMarquardtState(first_step(), damping, jnp.array(True))

    def update(
        self,
        updates: Tree,
        state: LevenbergMarquardtState,
        params: Tree = None,
        *,
        residual_fn: Callable | None = None,
        accept: Any = None,
        **extra: Any,
    ) -> tuple[Tree, LevenbergMarquardtState]:
        params = require_params("levenberg_marquardt", params)
        x, unravel = ravel(moving(updates, params)[1])
        residuals = residual_vector("levenberg_marquardt", residual_fn, params, unravel, x.dtype, extra)
        step, better = x, jnp.array(True)
        if x.size:
            jac, r = jacobian(residuals, x), residuals(x)
            scale = jnp.ones_like(x)
            if self.scaling == "columns":
                norms = safe_sqrt(jnp.sum(jac**2, axis=0))
                scale = jnp.where(norms > 0, norms, scale)  # what no residual depends on stands still
            step = damped_step(jac, r, state.damping.astype(x.dtype), scale)
            after = residuals(x + step)
            better = jnp.vdot(after, after) <= jnp.vdot(r, r)  # not so if it is NaN
            step = jnp.where(better, step, jnp.zeros_like(step))
        up, down = (as_hyperparameter(n).astype(state.damping.dtype) for n in (self.increase, self.decrease))
        # Between bounds where a further factor changes no step any more.
        eps = float(jnp.finfo(state.damping.dtype).eps)
        changed = state.damping * jnp.where(better, down, up)
        damping = jnp.where((changed >= eps**2) & (changed <= eps**-2), changed, state.damping)
        new = LevenbergMarquardtState(increment(state.count), damping, better)
        return moved(unravel(step), updates, params, accept), select(accept, new, state)


def levenberg_marquardt(
    damping: Number = 1e-3, increase: Number = 10.0, decrease: Number = 0.1, scaling: str = "identity"
) -> LevenbergMarquardt:
    """Levenberg–Marquardt: Gauss–Newton where it helps, gradient descent where it does not.

        d = −(JᵀJ + λD²)⁻¹·Jᵀr
        θ ← θ + d, λ ← decrease·λ     if ‖r(θ + d)‖ ≤ ‖r(θ)‖,     else λ ← increase·λ

    Arguments:
        damping: the first λ > 0. For λ → 0 the step is Gauss–Newton's, for λ → ∞ that of gradient
            descent of rate 1/λ.
        increase: > 1, the factor after a step that was refused.
        decrease: in (0, 1], the factor after one that was taken.
        scaling: D: "identity" (Levenberg), or "columns", the norms of J's columns (Marquardt), where the
            step does not depend on the parameters' units. Static.

    Returns:
        A `LevenbergMarquardt` record. `update` needs `params` and `residual_fn=`, as `gauss_newton`'s;
        the residuals are evaluated once more at the trial. A refused step is a zero update, and λ in the
        state grows. The loss ½‖r‖² never rises.

    Raises:
        ValueError: a number outside its interval, `update` without params or residual_fn.

    Example:
        >>> r = lambda x: jnp.array([x[0] - 1.0, 10.0 * (x[1] - x[0] ** 2)])
        >>> optimizer, x = levenberg_marquardt(), jnp.array([-1.2, 1.0])
        >>> updates, state = optimizer.update(x, optimizer.init(x), x, residual_fn=r)
        >>> print(bool(state.accepted), f"{state.damping:.2f}")
        False 0.01

    Source: Levenberg 1944; Marquardt 1963; Nocedal & Wright 2006, section 10.3.

    Elsewhere: `scipy.optimize.least_squares(method="lm")` is MINPACK's, with a trust region in λ's place.
    Neither torch nor optax has it.
    """
    return LevenbergMarquardt(
        check_number("levenberg_marquardt(damping)", damping, "(0, inf)", "the usual value is 1e-3"),
        check_number("levenberg_marquardt(increase)", increase, "(1, inf)", "the usual value is 10"),
        check_number("levenberg_marquardt(decrease)", decrease, "(0, 1]", "the usual value is 0.1"),
        check_choice("levenberg_marquardt(scaling)", scaling, ("identity", "columns")),
    )

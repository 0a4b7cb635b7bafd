"""Gauss–Newton and Levenberg–Marquardt: Newton's method for sums of squares, from first derivatives.

Where the loss is ½‖r(θ)‖², JᵀJ is the Hessian up to a term that vanishes with the residuals r. The step
is the least-squares solution of J·d = −r, by an orthogonal factorization of J: JᵀJ itself, which squares
the condition number, is never formed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float, real_dtype, zeros_like
from jaxopt_notes.numerics import precise_matmul, safe_divide
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    require_params,
)
from jaxopt_notes.optimizers.core.trainable import merge, moved, moving, objective, ravel, restrict
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.optimizers.solvers.trust_region import damped_step, damping_within, length, norm
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class GaussNewtonState(NamedTuple):
    """Steps made."""

    count: jax.Array


def residual_vector(
    where: str, residual_fn: Callable | None, params: Tree, unravel: Callable, kind: np.dtype, extra: dict
) -> Callable[[jax.Array], jax.Array]:
    """All residuals, an array or a tree of them, as one vector [m] of the vector of what is moved."""
    residuals = objective(where, "residual_fn", residual_fn, params, unravel, extra)
    return lambda x: ravel(residuals(x))[0].astype(kind)


def jacobian(residuals: Callable, x: jax.Array) -> jax.Array:
    """J [m, n], by columns or by rows, whichever are fewer."""
    rows = jax.eval_shape(residuals, x).size
    return (jax.jacrev if rows < x.size else jax.jacfwd)(residuals)(x)


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
        accept: Accept = None,
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
    """Steps made; λ of the last; whether it was taken; the radius, and D, of the next."""

    count: jax.Array
    damping: jax.Array
    accepted: jax.Array
    radius: jax.Array
    scale: Tree


@record
class LevenbergMarquardt(Transform):
    """See `levenberg_marquardt`."""

    damping: Number | None
    increase: Number
    decrease: Number
    scaling: str = static()

    def init(self, params: Tree) -> LevenbergMarquardtState:
        kind = real_dtype(compute_dtype(*(x for x in jax.tree.leaves(params) if is_float(x))))
        damping = (
            jnp.zeros((), kind) if self.damping is None else as_hyperparameter(self.damping).astype(kind)
        )
        radius = jnp.zeros((), kind)
        return LevenbergMarquardtState(first_step(), damping, jnp.array(True), radius, zeros_like(params))

    def update(
        self,
        updates: Tree,
        state: LevenbergMarquardtState,
        params: Tree = None,
        *,
        residual_fn: Callable | None = None,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, LevenbergMarquardtState]:
        params = require_params("levenberg_marquardt", params)
        here = moving(updates, params)[1]
        x, unravel = ravel(here)
        residuals = residual_vector("levenberg_marquardt", residual_fn, params, unravel, x.dtype, extra)
        known = ravel(restrict(state.scale, here))[0].astype(x.dtype)
        step, scale, damping, taken, radius = x, known, state.damping, jnp.array(True), state.radius
        if x.size:
            jac, r = jacobian(residuals, x), residuals(x)
            scale = self.norms(jac, known)
            units = jnp.where(
                scale > 0, scale, jnp.ones_like(scale)
            )  # what no residual depends on stands still
            damping, radius = self.within(jac, r, x, units, state)
            step = damped_step(jac, r, damping, units)
            change = precise_matmul(jac, step)
            taken, radius = self.judge(units * step, change, r, residuals(x + step), damping, radius)
            radius = jnp.maximum(radius, jnp.finfo(x.dtype).eps * norm(units * x))
            step = jnp.where(taken, step, jnp.zeros_like(step))
        kind = state.damping.dtype
        new = LevenbergMarquardtState(
            increment(state.count), damping.astype(kind), taken, radius.astype(kind),
            merge(unravel(scale), state.scale),
        )  # fmt: skip
        return moved(unravel(step), updates, params, accept), select(accept, new, state)

    def norms(self, jac: jax.Array, known: jax.Array) -> jax.Array:
        """D: ones, or the largest norm that each column of J ever had."""
        if self.scaling == "identity":
            return jnp.ones_like(known)
        return jnp.maximum(known, jax.vmap(norm, 1)(jac))

    def within(
        self, jac: jax.Array, r: jax.Array, x: jax.Array, scale: jax.Array, state: LevenbergMarquardtState
    ) -> tuple[jax.Array, jax.Array]:
        """λ of this step, and the radius that it comes from."""
        first = state.count == 0
        unbounded = jnp.full((), jnp.inf, x.dtype)
        begin = unbounded
        if self.damping is None:
            size = norm(scale * x)
            begin = jnp.where(size > 0, size, unbounded)
        radius = jnp.where(first, begin, state.radius.astype(x.dtype))
        damping = damping_within(jac, r, scale, radius)
        if self.damping is not None:
            damping = jnp.where(first, as_hyperparameter(self.damping).astype(x.dtype), damping)
        return damping, jnp.where(first, jnp.minimum(radius, length(jac, r, scale, damping)), radius)

    def judge(
        self,
        step: jax.Array,
        change: jax.Array,
        before: jax.Array,
        after: jax.Array,
        damping: jax.Array,
        radius: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Whether the step is taken, and the next radius, by how much of what was promised came true.

        Arguments:
            step: D·d [n]. change: J·d [m]. before, after: residuals [m].
            damping: λ. radius: that of this step.
        """
        kind = before.dtype
        largest = jnp.max(jnp.abs(before))
        largest = jnp.where(largest > 0, largest, jnp.ones_like(largest))
        before, after, change = before / largest, after / largest, change / largest
        fall = jnp.sum((before - after) * (before + after))  # of ‖r‖², without cancellation
        tangent, penalty = jnp.sum(change**2), damping * jnp.sum((step / largest) ** 2)
        promised = tangent + 2 * penalty
        rounding = 4 * jnp.finfo(kind).eps * jnp.sum(before**2)
        blind = promised <= rounding  # the values cannot tell any more, the model can
        taken = jnp.isfinite(fall) & (fall >= jnp.where(blind, -rounding, jnp.zeros_like(rounding)))
        share = jnp.where(blind, jnp.where(taken, 1.0, -1.0).astype(kind), safe_divide(fall, promised))

        size = norm(step)
        up, down = (as_hyperparameter(n).astype(kind) for n in (self.increase, self.decrease))
        half = jnp.full((), 0.5, kind)
        steep = tangent + penalty  # the minimum of the parabola with this slope through both values
        least = safe_divide(half * steep, steep - half * jnp.where(jnp.isfinite(fall), fall, 0))
        least = jnp.where(fall >= 0, half, jnp.where(jnp.isfinite(fall), least, 0))
        factor = jnp.maximum(1 / up, jnp.minimum(least, half))
        shorter, longer = factor * jnp.minimum(radius, up * size), size / down
        poor, good = ~(share > 0.25), (share >= 0.75) | (size < 0.99 * radius)
        new = jnp.where(poor, shorter, jnp.where(good, longer, radius))
        return taken, jnp.where(size > 0, new, radius)


def levenberg_marquardt(
    damping: Number | None = None, increase: Number = 10.0, decrease: Number = 0.5, scaling: str = "identity"
) -> LevenbergMarquardt:
    """Levenberg–Marquardt: Gauss–Newton where it helps, gradient descent where it does not.

        d = −(JᵀJ + λD²)⁻¹·Jᵀr,     λ ≥ 0 the least for which ‖Dd‖ ≤ Δ
        θ ← θ + d                   if ‖r(θ + d)‖ ≤ ‖r(θ)‖
        ρ = (‖r(θ)‖² − ‖r(θ + d)‖²) / (‖Jd‖² + 2λ‖Dd‖²)
        Δ ← ‖Dd‖/decrease           if ρ ≥ ¾ or λ = 0
        Δ ← t·Δ, t in [1/increase, ½]   if ρ ≤ ¼: the minimum of a parabola along d

    Arguments:
        damping: λ > 0 of the first trial. For λ → 0 the step is Gauss–Newton's, for λ → ∞ that of gradient
            descent of rate 1/λ. `None`, the default: as the first radius demands, Δ = ‖Dθ‖ (no bound
            where that is 0), which does not depend on the units of the residuals.
        increase: > 1, by how much the radius shrinks at most after a step that was refused, or nearly so;
            for large λ that is how much λ grows.
        decrease: in (0, 1], 1/decrease is how much longer than the last step the next one may be after a
            good one; for large λ that is how much λ shrinks.
        scaling: D: "identity" (Levenberg), or "columns", the largest norm that each column of J has had,
            where the step does not depend on the parameters' units (Marquardt, Moré). Static.

    Returns:
        A `LevenbergMarquardt` record. `update` needs `params` and `residual_fn=`, as `gauss_newton`'s;
        the residuals are evaluated once more at the trial. A refused step is a zero update, and the
        radius in the state shrinks. The loss ½‖r‖² never rises by more than rounding: that of the residuals,
        whose products have three digits by default on GPU and TPU. There steps are refused, and λ is large,
        once those are used up; inside `jax.default_matmul_precision("highest")` they go on.

    Raises:
        ValueError: a number outside its interval, `update` without params or residual_fn.

    Example:
        >>> r = lambda x: jnp.array([x[0] - 1.0, 10.0 * (x[1] - x[0] ** 2)])
        >>> optimizer, x = levenberg_marquardt(), jnp.array([-1.2, 1.0])
        >>> updates, state = optimizer.update(x, optimizer.init(x), x, residual_fn=r)
        >>> print(bool(state.accepted), f"{state.damping:.2f}")
        False 0.36

    Source: Levenberg 1944; Marquardt 1963; Moré 1978, whose radius and constants these are.

    Elsewhere: `scipy.optimize.least_squares(method="lm")` is MINPACK's implementation of Moré's paper: it
    begins with a radius of 100·‖Dθ‖ and finds λ to 10%, here to the last digit. Rules that change λ itself
    by factors, Marquardt's and Nielsen's, refuse many more steps in curved valleys. Neither torch nor optax
    has it.
    """
    return LevenbergMarquardt(
        None
        if damping is None
        else check_number("levenberg_marquardt(damping)", damping, "(0, inf)", "the usual value is 1e-3"),
        check_number("levenberg_marquardt(increase)", increase, "(1, inf)", "the usual value is 10"),
        check_number("levenberg_marquardt(decrease)", decrease, "(0, 1]", "the usual value is 0.5"),
        check_choice("levenberg_marquardt(scaling)", scaling, ("identity", "columns")),
    )

"""Loss scaling: gradients of half precision kept away from zero.

In float16 whatever is below 6e-8 is zero, gradients included. A loss multiplied by a large number has
gradients as many times larger; in float32 they are divided by it again, before the optimizer sees them.
The scale is held constant, or found: halved after every overflow, doubled after many steps without.

    grads = jax.grad(lambda p: scale_loss(optimizer, loss(p), state))(params)
    updates, state = optimizer.update(grads, state, params)

The `Trainer` does so by itself for any optimizer that holds a scale.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.core.chain import Chain, as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment, leafwise
from jaxopt_notes.optimizers.core.wrapping import narrowed, update_inner, widened
from jaxopt_notes.record import Number, check_number, record


class LossScaleState(NamedTuple):
    """The wrapped optimizer's state, the scale, steps since it last changed, and overflows so far."""

    inner: Tree
    scale: jax.Array
    good_steps: jax.Array
    overflows: jax.Array


class LossScale(Transform):
    """What both scales share; each has a first scale and a rule for the next."""

    optimizer: GradientTransform

    def first_scale(self) -> Number:
        raise NotImplementedError

    def next_scale(self, scale: jax.Array, good_steps: jax.Array, finite: jax.Array) -> tuple:
        """The scale for the next step, and the good steps that it has seen."""
        return scale, good_steps

    def init(self, params: Tree) -> LossScaleState:
        # A copy: a state may be donated, a hyperparameter must not be.
        scale = jnp.array(as_hyperparameter(self.first_scale()), copy=True)
        return LossScaleState(self.optimizer.init(params), scale, first_step(), first_step())

    def scale_loss(self, loss: jax.Array, state: LossScaleState) -> jax.Array:
        """The loss times the scale, in at least float32: the function to differentiate."""
        loss = jnp.asarray(loss)
        kind = compute_dtype(loss)
        return loss.astype(kind) * state.scale.astype(kind)

    def update(
        self,
        updates: Tree,
        state: LossScaleState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, LossScaleState]:
        wide = None if params is None else widened(params)
        (grads,) = leafwise(_unscale, widened(updates), wide, scale=state.scale)
        finite = jnp.isfinite(global_norm(grads))
        taken = finite if accept is None else finite & accept
        if "grad" in extra:
            extra = {**extra, "grad": grads}
        steps, inner = update_inner(self.optimizer, grads, state.inner, params, taken, extra)
        steps = narrowed(steps, updates if params is None else params)
        # An overflow counts also where the step was not accepted: it is likely to be the reason.
        good_steps = jnp.where(finite, increment(state.good_steps, taken), 0)
        scale, good_steps = self.next_scale(state.scale, good_steps, finite)
        return steps, LossScaleState(inner, scale, good_steps, increment(state.overflows, ~finite))

    def evaluation_params(self, params: Tree, state: LossScaleState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def _unscale(g, p, *, scale):
    return g / scale


def scale_loss(optimizer: GradientTransform, loss: jax.Array, state: Tree) -> jax.Array:
    """The loss as an optimizer wants it differentiated: times its scale, if it or a part of it holds one.

    Looks into chains and wrappers; without a scale the loss is what it was.

    Example:
        >>> from jaxopt_notes.optimizers.wrappers.skip_nonfinite import skip_nonfinite
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = skip_nonfinite(static_loss_scale(sgd(0.1), 8.0))
        >>> print(scale_loss(optimizer, jnp.array(2.0), optimizer.init(jnp.zeros(1))))
        16.0
        >>> print(scale_loss(sgd(0.1), jnp.array(2.0), sgd(0.1).init(jnp.zeros(1))))
        2.0
    """
    if hasattr(optimizer, "scale_loss"):
        return optimizer.scale_loss(loss, state)
    if isinstance(optimizer, Chain):
        for part in zip(optimizer.transforms, state, strict=True):
            loss = scale_loss(part[0], loss, part[1])
    elif hasattr(optimizer, "optimizer") and hasattr(state, "inner"):
        return scale_loss(optimizer.optimizer, loss, state.inner)
    return loss


@record
class StaticLossScale(LossScale):
    """See `static_loss_scale`."""

    optimizer: GradientTransform
    scale: Number

    def first_scale(self) -> Number:
        return self.scale


def static_loss_scale(optimizer: GradientTransform, scale: Number = 2.0**15) -> StaticLossScale:
    """Train on a multiple of the loss, with the gradients divided by it again.

        (u, s) ← optimizer(∇(S·L)/S, s) if all is finite, else (0, s)

    Arguments:
        optimizer: any optimizer or chain; it sees float32 gradients of the loss itself.
        scale: S > 0; a power of two rounds nothing.

    Returns:
        A `StaticLossScale` record. `scale_loss(loss, state)` is the function to differentiate; `update` takes
        its gradients. Steps that overflow are skipped and counted in `overflows`.

    Raises:
        ValueError: S not above 0.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = static_loss_scale(sgd(1.0))
        >>> w = jnp.array(1.0, jnp.float16)
        >>> state = optimizer.init(w)
        >>> small = lambda w: jnp.float16(1e-4) * (jnp.float16(1e-4) * w)
        >>> float(jax.grad(small)(w))  # 1e-8 is not a number of float16
        0.0
        >>> scaled = jax.grad(lambda w: optimizer.scale_loss(small(w), state))(w)
        >>> print(f"{float(scaled) / 2**15:.2e}")
        1.00e-08

    Source: Micikevicius et al. 2018, section 3.2.

    Elsewhere: `jmp.StaticLossScale`; torch's `GradScaler` is dynamic.
    """
    scale = check_number("static_loss_scale(scale)", scale, "(0, inf)", "1 switches it off")
    return StaticLossScale(as_transform(optimizer), scale)


@record
class DynamicLossScale(LossScale):
    """See `dynamic_loss_scale`."""

    optimizer: GradientTransform
    init_scale: Number
    growth_factor: Number
    backoff_factor: Number
    growth_interval: Number
    min_scale: Number
    max_scale: Number

    def first_scale(self) -> Number:
        return self.init_scale

    def next_scale(self, scale: jax.Array, good_steps: jax.Array, finite: jax.Array) -> tuple:
        grow = finite & (as_hyperparameter(good_steps) >= as_hyperparameter(self.growth_interval))
        growth, backoff = as_hyperparameter(self.growth_factor), as_hyperparameter(self.backoff_factor)
        low, high = as_hyperparameter(self.min_scale), as_hyperparameter(self.max_scale)
        factor = jnp.where(finite, growth, backoff)
        changed = grow | ~finite
        scale = jnp.where(changed, jnp.clip(scale * factor, low, high), scale)
        return scale, jnp.where(changed, 0, good_steps)


def dynamic_loss_scale(
    optimizer: GradientTransform,
    init_scale: Number = 2.0**15,
    growth_factor: Number = 2.0,
    backoff_factor: Number = 0.5,
    growth_interval: Number = 2000,
    min_scale: Number = 1.0,
    max_scale: Number = 2.0**24,
) -> DynamicLossScale:
    """Train on the largest multiple of the loss whose gradients do not overflow.

        S ← backoff·S                   after a gradient that is not finite: the step is skipped
        S ← growth·S                    after growth_interval steps in a row that were
        (u, s) ← optimizer(∇(S·L)/S, s)

    Arguments:
        optimizer: any optimizer or chain; it sees float32 gradients of the loss itself.
        init_scale: S at the start, > 0. Above 2¹⁵ a loss computed in float16 overflows at once, one
            computed in float32 of float16 outputs does not.
        growth_factor: ≥ 1.
        backoff_factor: in (0, 1].
        growth_interval: steps without overflow before the scale grows, ≥ 1; `inf` never grows.
        min_scale, max_scale: where the scale stays within.

    Returns:
        A `DynamicLossScale` record. `scale_loss(loss, state)` is the function to differentiate; `update`
        takes its gradients. Its state holds `inner`, `scale`, `good_steps` and `overflows`. It skips steps by
        itself; `skip_nonfinite` around it (as in the `Trainer`) does no harm: the scale falls anyway.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = dynamic_loss_scale(sgd(1.0), init_scale=8.0, growth_interval=2)
        >>> state = optimizer.init(jnp.zeros(1))
        >>> for g in (jnp.inf, 4.0, 4.0):
        ...     update, state = optimizer.update(jnp.array([g]), state)
        ...     print(update, state.scale)
        [0.] 4.0
        [-1.] 4.0
        [-1.] 8.0

    Source: Micikevicius et al. 2018.

    Elsewhere: torch's `GradScaler` (init_scale 2¹⁶), `jmp.DynamicLossScale`; the same rule.
    """
    where = "dynamic_loss_scale"
    return DynamicLossScale(
        optimizer=as_transform(optimizer),
        init_scale=check_number(f"{where}(init_scale)", init_scale, "(0, inf)"),
        growth_factor=check_number(f"{where}(growth_factor)", growth_factor, "[1, inf)", "1 never grows"),
        backoff_factor=check_number(
            f"{where}(backoff_factor)", backoff_factor, "(0, 1]", "the usual value is 0.5"
        ),
        growth_interval=check_number(
            f"{where}(growth_interval)", growth_interval, "[1, inf]", "inf never grows"
        ),
        min_scale=check_number(f"{where}(min_scale)", min_scale, "[0, inf)"),
        max_scale=check_number(f"{where}(max_scale)", max_scale, "(0, inf]"),
    )

"""Schedule-free AdamW: the average takes the place of Adam's first moment, and of a falling rate."""

import jax
from jax import lax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    bias_correction,
    increment,
    leafwise,
    number_where,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.optimizers.wrappers.schedule_free import (
    ScheduleFreeBase,
    ScheduleFreeState,
    check_average,
    interpolation,
)
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


@record
class ScheduleFreeAdamW(ScheduleFreeBase):
    """See `schedule_free_adamw`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    weight_decay: Rate
    weight_power: Number
    mask: Mask | None = static()
    state_dtype: str | None = static()

    def base_init(self, params: Tree) -> Tree:
        (nu,) = moments(params, (2,), self.state_dtype)
        return nu

    def rate(self, state: ScheduleFreeState) -> jax.Array:
        return rate_at(self.learning_rate, state.count)

    def advance(
        self, updates: Tree, state: ScheduleFreeState, params: Tree, c: jax.Array, accept: Accept, extra: dict
    ) -> tuple[Tree, Tree, Tree]:
        decay = number_where(self.mask, rate_at(self.weight_decay, state.count), params)
        steps, nu, z = leafwise(
            schedule_free_adamw_step, updates, params, state.inner, state.z,
            accept=accept, decay=decay, rate=self.rate(state), c=c, b1=self.b1, b2=self.b2, eps=self.eps,
            c2=bias_correction(self.b2, increment(state.count)),
        )  # fmt: skip
        return steps, nu, z


def schedule_free_adamw_step(g, y, v, z, *, rate, decay, c, b1, b2, eps, c2, store=store_always):
    """The update of y, the second moment and z of one leaf, with weight decay λ·y (λ is 0 if it has none)."""
    v = store(v, b2 * v + (1 - b2) * abs_squared(g))
    z = store(z, z - rate * (_direction(g, v, c2, eps) + decay * y))
    # Behind a barrier the direction is computed once more, where on CPU XLA would store it for both uses.
    g, v_again = lax.platform_dependent(
        g, v, cpu=lambda *x: lax.optimization_barrier(x), default=lambda *x: x
    )
    step = -rate * (_direction(g, v_again, c2, eps) + decay * y)
    return interpolation(step, y, z, c=c, b1=b1), v, z


def _direction(g, v, c2, eps):
    return safe_divide(g, safe_sqrt(v / c2) + eps)


def schedule_free_adamw(
    learning_rate: Rate = 0.0025,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    *,
    weight_decay: Rate = 0.0,
    weight_power: Number = 2.0,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> ScheduleFreeAdamW:
    """Schedule-free AdamW: averaging in place of Adam's first moment.

        v ← b2·v + (1 − b2)·|g|²            v̂ = v/(1 − b2ᵗ),  g = ∇f(y)
        z ← z − γ·(g/(√v̂ + eps) + λ·y)      c = γₜᵖ/(γ₁ᵖ + … + γₜᵖ)
        x ← (1 − c)·x + c·z                 y ← β·x + (1 − β)·z          (y are the parameters held)

    Arguments:
        learning_rate: γ ≥ 0, a number or a warm-up; it does not have to fall.
        b1, weight_power: β and p, as in `schedule_free`.
        b2: decay of the second moment, in [0, 1).
        eps: ≥ 0, outside the root.
        weight_decay: λ ≥ 0, a number or a schedule; γ multiplies it.
        mask: which leaves are decayed, as in `schedule_free_sgd`.
        state_dtype: precision of v, as in `adam`; z stays in float32.

    Returns:
        A `ScheduleFreeAdamW` record; evaluation, state and needs as in `schedule_free`; v is in `inner`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = schedule_free_adamw(0.5)
        >>> y = jnp.array([1.0, -3.0])
        >>> update, state = optimizer.update(y, optimizer.init(y), y)
        >>> print(y + update)
        [ 0.5 -2.5]

    Source: Defazio et al. 2024, section 4. The paper's listing multiplies γ by √(1 − b2ᵗ), which then
    is in the weights c too; here, as in the authors' code, it divides v.

    Elsewhere: `optax.contrib.schedule_free_adamw`, `schedulefree.AdamWScheduleFree`; see `schedule_free_sgd`.
    """
    b1, weight_power = check_average("schedule_free_adamw", b1, weight_power)
    return ScheduleFreeAdamW(
        learning_rate=check_rate("schedule_free_adamw(learning_rate)", learning_rate),
        b1=b1,
        b2=check_number("schedule_free_adamw(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("schedule_free_adamw(eps)", eps, "[0, inf)"),
        weight_decay=check_rate("schedule_free_adamw(weight_decay)", weight_decay),
        weight_power=weight_power,
        mask=as_mask(mask),
        state_dtype=check_state_dtype("schedule_free_adamw(state_dtype)", state_dtype),
    )

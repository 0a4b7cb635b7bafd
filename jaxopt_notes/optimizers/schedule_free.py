"""Schedule-free training: an average of iterates in place of a falling rate.

A base optimizer moves z with a constant rate. x is the average of all z, weighted by the rate squared.
Gradients are taken at y, between the two, near the average. The parameters held *are* y, so any training
loop is right; x is `evaluation_params(params, state)`, to be validated and kept. No horizon has to be
known beforehand. For a step z₊ = z + u of the base optimizer

    y₊ − y = c·(z₊ − y) + (1 − c)(1 − β)·u

so x is never stored: it lies on the line from z through y.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.optimizers.chain import as_transform, chain
from jaxopt_notes.optimizers.distance import starting_point
from jaxopt_notes.optimizers.inner import narrowed, select, update_inner, widened
from jaxopt_notes.optimizers.inspect import learning_rate as rate_of
from jaxopt_notes.optimizers.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.moments import check_state_dtype
from jaxopt_notes.optimizers.rmsprop import rmsprop
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.optimizers.weight_decay import add_l2
from jaxopt_notes.optimizers.weight_decay import weight_decay as decoupled_decay
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.horizon import power
from jaxopt_notes.schedules.schedule import Rate, check_rate
from jaxopt_notes.trees import Tree, as_hyperparameter, as_mask, is_none, safe_divide, weights_only


class ScheduleFreeState(NamedTuple):
    """The base optimizer's state, steps made, z, the largest rate so far and the sum of the weights."""

    inner: Any
    count: jax.Array
    z: Tree
    max_rate: jax.Array
    weight_sum: jax.Array


class ScheduleFreeBase(Transform):
    """What all forms share; each has a `base` optimizer, which moves z."""

    b1: Number
    weight_power: Number

    def base(self) -> Any:
        raise NotImplementedError

    def init(self, params: Tree) -> ScheduleFreeState:
        zeros = [as_hyperparameter(0.0) for _ in range(2)]
        return ScheduleFreeState(self.base().init(params), first_step(), starting_point(params), *zeros)

    def update(
        self,
        updates: Tree,
        state: ScheduleFreeState,
        params: Tree = None,
        *,
        accept: Any = None,
        **extra: Any,
    ) -> tuple[Tree, ScheduleFreeState]:
        held = widened(require_params("schedule_free", params))
        rate = rate_of(self.base(), state.inner)
        max_rate = jnp.maximum(state.max_rate, jnp.where(jnp.isnan(rate), 1, rate))
        weight = power(max_rate, as_hyperparameter(self.weight_power))
        weight_sum = state.weight_sum + weight
        steps, inner = update_inner(self.base(), widened(updates), state.inner, held, accept, extra)
        steps, z = leafwise(
            interpolate, steps, held, state.z,
            accept=accept, c=safe_divide(weight, weight_sum), b1=self.b1,
        )  # fmt: skip
        numbers = select(accept, (max_rate, weight_sum), (state.max_rate, state.weight_sum))
        return narrowed(steps, params), ScheduleFreeState(inner, increment(state.count, accept), z, *numbers)

    def evaluation_params(self, params: Tree, state: ScheduleFreeState) -> Tree:
        """The average x, of which the parameters held are y = βx + (1 − β)z."""
        b1 = as_hyperparameter(self.b1)
        (x,) = leafwise(_beyond, state.z, params, ratio=(1 - b1) / b1)
        return jax.tree.map(lambda p, x: p if x is None else x, params, x, is_leaf=is_none)


def interpolate(u, y, z, *, c, b1, store=store_always):
    """The update of y and the new z of one leaf, for a step u of the base optimizer."""
    z = store(z, z + u)
    return c * (z - y) + (1 - c) * (1 - b1) * u, z


def _beyond(z, y, *, ratio):
    return y + ratio * (y - z)


@record
class ScheduleFree(ScheduleFreeBase):
    """See `schedule_free`."""

    optimizer: Any
    b1: Number
    weight_power: Number

    def base(self) -> Any:
        return self.optimizer


def schedule_free(optimizer: Any, b1: Number = 0.9, weight_power: Number = 2.0) -> ScheduleFree:
    """Any optimizer made free of schedules, by averaging in place of its momentum.

        z ← z + optimizer(∇f(y))            c = γₜᵖ/(γ₁ᵖ + … + γₜᵖ)
        x ← (1 − c)·x + c·z                 y ← β·x + (1 − β)·z          (y are the parameters held)

    Arguments:
        optimizer: any optimizer without momentum of its own. γₜ is its largest rate so far (the last part
            of a chain that has one decides; 1 if none has).
        b1: β in (0, 1], how near to the average gradients are taken.
        weight_power: p ≥ 0; 2 gives the steps of a warm-up little weight, 0 all steps the same.

    Returns:
        A `ScheduleFree` record; `evaluation_params(optimizer, params, state)` gives x. Its state holds
        `inner`, `z` in at least float32 and three numbers. `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params. TypeError: no number.

    Example:
        >>> optimizer = schedule_free(sgd(1.0))
        >>> y = jnp.array(0.0)
        >>> state = optimizer.init(y)
        >>> for _ in range(2):  # z: −1, −2
        ...     update, state = optimizer.update(jnp.array(1.0), state, y)
        ...     y = y + update
        >>> print(state.z, f"{optimizer.evaluation_params(y, state):.2f} {y:.2f}")
        -2.0 -1.50 -1.55

    Source: Defazio et al. 2024, equations 1–3 and section 4; row S1-70 of the notes for averaging.

    Elsewhere: `optax.contrib.schedule_free` has to be told the rate of its base optimizer a second time, and
    asks a schedule for it one step too early: at step 1 for the first update.
    """
    return ScheduleFree(as_transform(optimizer), *_checked("schedule_free", b1, weight_power))


@record
class ScheduleFreeSGD(ScheduleFreeBase):
    """See `schedule_free_sgd`."""

    learning_rate: Rate
    b1: Number
    weight_decay: Rate
    weight_power: Number
    mask: Any = static()

    def base(self) -> Any:
        return chain(add_l2(self.weight_decay, self.mask), sgd(self.learning_rate))


def schedule_free_sgd(
    learning_rate: Rate = 1.0,
    b1: Number = 0.9,
    *,
    weight_decay: Rate = 0.0,
    weight_power: Number = 2.0,
    mask: Any = weights_only,
) -> ScheduleFreeSGD:
    """Schedule-free gradient descent.

        z ← z − γ·(∇f(y) + λ·y)             c = γₜᵖ/(γ₁ᵖ + … + γₜᵖ)
        x ← (1 − c)·x + c·z                 y ← β·x + (1 − β)·z          (y are the parameters held)

    Arguments:
        learning_rate: γ ≥ 0, a number or a warm-up; it does not have to fall.
        b1, weight_power: β and p, as in `schedule_free`.
        weight_decay: λ ≥ 0, a number or a schedule.
        mask: which leaves are decayed: `weights_only` (rank ≥ 2, no normalization scale), `None` for
            all, a function of the parameters, or a tree of bools.

    Returns:
        A `ScheduleFreeSGD` record; evaluation, state and needs as in `schedule_free`.

    Raises:
        ValueError: a number outside its interval, or `update` without params. TypeError: no number.

    Example:
        >>> optimizer = schedule_free_sgd(0.5)
        >>> y = jnp.array(1.0)
        >>> update, state = optimizer.update(y, optimizer.init(y), y)
        >>> print(y + update, optimizer.evaluation_params(y + update, state))
        0.5 0.5

    Source: Defazio et al. 2024, equations 1–3, section 4 (the weights).

    Elsewhere: `optax.contrib.schedule_free_sgd`, `schedulefree.SGDScheduleFree`: the same at a constant rate,
    and both decay all leaves. With `warmup_steps` the first asks for the rate of the weights a step early.
    """
    b1, weight_power = _checked("schedule_free_sgd", b1, weight_power)
    return ScheduleFreeSGD(
        check_rate("schedule_free_sgd(learning_rate)", learning_rate),
        b1,
        check_rate("schedule_free_sgd(weight_decay)", weight_decay),
        weight_power,
        as_mask(mask),
    )


@record
class ScheduleFreeAdamW(ScheduleFreeBase):
    """See `schedule_free_adamw`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    weight_decay: Rate
    weight_power: Number
    mask: Any = static()
    state_dtype: str | None = static()

    def base(self) -> Any:
        scaled = rmsprop(
            self.learning_rate, self.b2, self.eps,
            eps_in_sqrt=False, bias_correction=True, state_dtype=self.state_dtype,
        )  # fmt: skip
        return chain(scaled, decoupled_decay(self.weight_decay, self.learning_rate, self.mask))


def schedule_free_adamw(
    learning_rate: Rate = 0.0025,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    *,
    weight_decay: Rate = 0.0,
    weight_power: Number = 2.0,
    mask: Any = weights_only,
    state_dtype: Any = None,
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
        ValueError: a number outside its interval, or `update` without params. TypeError: no number.

    Example:
        >>> optimizer = schedule_free_adamw(0.5)
        >>> y = jnp.array([1.0, -3.0])
        >>> update, state = optimizer.update(y, optimizer.init(y), y)
        >>> print(y + update)
        [ 0.5 -2.5]

    Source: Defazio et al. 2024, section 4. The paper's listing multiplies γ by √(1 − b2ᵗ), which then is
    in the weights c too; here, as in the authors' code, it divides v.

    Elsewhere: `optax.contrib.schedule_free_adamw`, `schedulefree.AdamWScheduleFree`; see `schedule_free_sgd`.
    """
    b1, weight_power = _checked("schedule_free_adamw", b1, weight_power)
    return ScheduleFreeAdamW(
        check_rate("schedule_free_adamw(learning_rate)", learning_rate),
        b1,
        check_number("schedule_free_adamw(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        check_number("schedule_free_adamw(eps)", eps, "[0, inf)"),
        check_rate("schedule_free_adamw(weight_decay)", weight_decay),
        weight_power,
        as_mask(mask),
        check_state_dtype("schedule_free_adamw(state_dtype)", state_dtype),
    )


def _checked(where: str, b1: Number, weight_power: Number) -> tuple[Number, Number]:
    return (
        check_number(f"{where}(b1)", b1, "(0, 1]", "the usual value is 0.9"),
        check_number(f"{where}(weight_power)", weight_power, "[0, inf)", "the usual value is 2"),
    )

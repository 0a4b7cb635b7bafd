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

from jaxopt_notes.dtypes import Tree, as_hyperparameter, is_none
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.distance import starting_point
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.wrapping import narrowed, select, update_inner, widened
from jaxopt_notes.optimizers.wrappers.inspect import learning_rate as rate_of
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.horizon import power


class ScheduleFreeState(NamedTuple):
    """The base optimizer's state, steps made, z, the largest rate so far and the sum of the weights."""

    inner: Tree
    count: jax.Array
    z: Tree
    max_rate: jax.Array
    weight_sum: jax.Array


class ScheduleFreeBase(Transform):
    """What all forms share; each has a `base` optimizer that moves z, or its own `rate` and `advance`."""

    b1: Number
    weight_power: Number

    def base(self) -> GradientTransform:
        raise NotImplementedError

    def base_init(self, params: Tree) -> Tree:
        return self.base().init(params)

    def rate(self, state: ScheduleFreeState) -> jax.Array:
        """The rate of the base optimizer's next step, NaN if it has none."""
        return rate_of(self.base(), state.inner)

    def advance(
        self, updates: Tree, state: ScheduleFreeState, params: Tree, c: jax.Array, accept: Accept, extra: dict
    ) -> tuple[Tree, Tree, Tree]:
        """Updates of y for a new z of weight c, the state of the base optimizer, and z; all in float32."""
        steps, inner = update_inner(self.base(), updates, state.inner, params, accept, extra)
        steps, z = leafwise(interpolate, steps, params, state.z, c=c, b1=self.b1, accept=accept)
        return steps, inner, z

    def init(self, params: Tree) -> ScheduleFreeState:
        zeros = [as_hyperparameter(0.0) for _ in range(2)]
        return ScheduleFreeState(self.base_init(params), first_step(), starting_point(params), *zeros)

    def update(
        self,
        updates: Tree,
        state: ScheduleFreeState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, ScheduleFreeState]:
        held = widened(require_params("schedule_free", params))
        rate = self.rate(state)
        max_rate = jnp.maximum(state.max_rate, jnp.where(jnp.isnan(rate), 1, rate))
        weight = power(max_rate, as_hyperparameter(self.weight_power))
        weight_sum = state.weight_sum + weight
        c = safe_divide(weight, weight_sum)
        steps, inner, z = self.advance(widened(updates), state, held, c, accept, extra)
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
    return interpolation(u, y, z, c=c, b1=b1), z


def interpolation(u, y, z, *, c, b1):
    """y₊ − y for a step u that has led to z₊."""
    return c * (z - y) + (1 - c) * (1 - b1) * u


def _beyond(z, y, *, ratio):
    return y + ratio * (y - z)


@record
class ScheduleFree(ScheduleFreeBase):
    """See `schedule_free`."""

    optimizer: GradientTransform
    b1: Number
    weight_power: Number

    def base(self) -> GradientTransform:
        return self.optimizer


def schedule_free(optimizer: GradientTransform, b1: Number = 0.9, weight_power: Number = 2.0) -> ScheduleFree:
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
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = schedule_free(sgd(1.0))
        >>> y = jnp.array(0.0)
        >>> state = optimizer.init(y)
        >>> for _ in range(2):  # z: −1, −2
        ...     update, state = optimizer.update(jnp.array(1.0), state, y)
        ...     y = y + update
        >>> print(state.z, f"{optimizer.evaluation_params(y, state):.2f} {y:.2f}")
        -2.0 -1.50 -1.55

    Source: Defazio et al. 2024, equations 1–3 and section 4 for averaging.

    Elsewhere: `optax.contrib.schedule_free` has to be told the rate of its base optimizer a second time, and
    asks a schedule for it one step too early: at step 1 for the first update.
    """
    return ScheduleFree(as_transform(optimizer), *check_average("schedule_free", b1, weight_power))


def check_average(where: str, b1: Number, weight_power: Number) -> tuple[Number, Number]:
    """The two numbers of the average, checked for a factory."""
    return (
        check_number(f"{where}(b1)", b1, "(0, 1]", "the usual value is 0.9"),
        check_number(f"{where}(weight_power)", weight_power, "[0, inf)", "the usual value is 2"),
    )

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

from jaxopt_notes.optimizers.chain import as_transform
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
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.horizon import power
from jaxopt_notes.trees import Tree, as_hyperparameter, is_none, safe_divide


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
        >>> from jaxopt_notes.optimizers.sgd import sgd
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
    return ScheduleFree(as_transform(optimizer), *check_average("schedule_free", b1, weight_power))


def check_average(where: str, b1: Number, weight_power: Number) -> tuple[Number, Number]:
    """The two numbers of the average, checked for a factory."""
    return (
        check_number(f"{where}(b1)", b1, "(0, 1]", "the usual value is 0.9"),
        check_number(f"{where}(weight_power)", weight_power, "[0, inf)", "the usual value is 2"),
    )

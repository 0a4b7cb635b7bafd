"""Gradient accumulation: one step for several micro-batches, as if they were one batch.

The mean of the gradients is kept running, so nothing depends on how many are still to come: the number
of micro-batches may be traced, swept, or follow a schedule.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter, is_none, zeros_like
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    store_always,
)
from jaxopt_notes.optimizers.core.wrapping import narrowed, select, update_inner
from jaxopt_notes.record import record
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class AccumulateGradientsState(NamedTuple):
    """The wrapped optimizer's state, its steps, the micro-batches since, and the means over those.

    `mean` is that of their gradients, `value` that of their losses as far as `values` were given.
    """

    inner: Tree
    gradient_step: jax.Array
    mini_step: jax.Array
    mean: Tree
    value: jax.Array
    values: jax.Array


@record
class AccumulateGradients(Transform):
    """See `accumulate_gradients`."""

    optimizer: GradientTransform
    every_k: Rate

    def init(self, params: Tree) -> AccumulateGradientsState:
        return AccumulateGradientsState(
            inner=self.optimizer.init(params),
            gradient_step=first_step(),
            mini_step=first_step(),
            mean=zeros_like(params),
            value=as_hyperparameter(0.0),
            values=first_step(),
        )

    def update(
        self,
        updates: Tree,
        state: AccumulateGradientsState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, AccumulateGradientsState]:
        mini_step = increment(state.mini_step, accept)
        share = 1 / as_hyperparameter(state.mini_step + 1)
        _, mean = leafwise(running_mean, updates, params, state.mean, share=share, accept=accept)
        k = jnp.round(rate_at(self.every_k, state.gradient_step))
        complete = as_hyperparameter(mini_step) >= k
        complete = complete if accept is None else complete & accept

        grads = jax.tree.map(
            lambda g, m: m if g is not None and m is not None else g, updates, mean, is_leaf=is_none
        )
        value, values = state.value, state.values
        if extra.get("value") is not None:  # of the micro-batch; the step is that of the whole batch
            values = increment(values, accept)
            part = 1 / as_hyperparameter(state.values + 1)
            value = select(accept, value + part * (as_hyperparameter(extra["value"]) - value), value)
            extra = {**extra, "value": value}
        if "grad" in extra:
            extra = {**extra, "grad": grads}
        steps, inner = update_inner(self.optimizer, grads, state.inner, params, complete, extra)
        steps = narrowed(steps, updates if params is None else params)
        return steps, AccumulateGradientsState(
            inner=inner,
            gradient_step=increment(state.gradient_step, complete),
            mini_step=jnp.where(complete, 0, mini_step),
            mean=mean,
            value=jnp.where(complete, 0, value),
            values=jnp.where(complete, 0, values),
        )

    def evaluation_params(self, params: Tree, state: AccumulateGradientsState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def running_mean(g, p, mean, *, share, store=store_always):
    """m ← m + (g − m)/n of one leaf, as an update and as a slot; the first of a mean replaces the last."""
    mean = store(mean, jnp.where(share == 1, g, mean + share * (g - mean)))
    return mean, mean


def accumulate_gradients(optimizer: GradientTransform, every_k: Rate = 4) -> AccumulateGradients:
    """Take one step for every k gradients, with their mean.

        ḡ ← mean of g₁ … g_k
        (u, s) ← optimizer(ḡ, s) after the k-th, else (0, s)

    Arguments:
        optimizer: any optimizer or chain. Its schedules count its own steps, not the micro-batches.
        every_k: k, rounded to a whole number; 1 or less takes every step. It may be traced, or a
            schedule of the steps taken (a growing batch). The micro-batches should be of one size.

    Returns:
        An `AccumulateGradients` record; its state holds `inner`, `gradient_step`, `mini_step` and the
        running `mean` in at least float32. `value`, the loss, may be given with each micro-batch (or with
        the last): the optimizer is given the mean, which a rule of the loss such as `polyak_sgd` needs.

    Raises:
        ValueError: k below 1.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = accumulate_gradients(sgd(1.0), every_k=2)
        >>> state = optimizer.init(jnp.zeros(1))
        >>> for g in (1.0, 3.0):
        ...     update, state = optimizer.update(jnp.array([g]), state)
        ...     print(update)
        [0.]
        [-2.]

    Source: Goyal et al. 2017, section 2.1. A micro-batch under `skip_nonfinite` that is not finite is
    left out of the mean, and another takes its place.

    Elsewhere: `optax.MultiSteps`, its accumulator in float32 also for float64 gradients; it hands on the
    `value` of the last micro-batch, and none to a record (`to_optax` makes it do so). torch adds gradients
    up, so that the loss has to be divided by k.
    """
    return AccumulateGradients(
        as_transform(optimizer),
        check_rate("accumulate_gradients(every_k)", every_k, "[1, inf)", "1 takes every step"),
    )

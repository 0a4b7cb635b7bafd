"""Proximal gradient descent: a gradient step on the loss, then a proximal step on the penalty.

A penalty with a corner, as L1 at 0, is not a matter for the gradient: gradient descent oscillates around
the corner and makes no exact zeros. Here the gradient is that of the loss *without* the penalty, and
the penalty is minimized exactly, near the point that the gradient step leads to. Projections are the
case of a penalty that is infinite outside of a set; see `projected_gradient`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, compute_dtype, is_float, is_none
from jaxopt_notes.masks import read_mask
from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    require_params,
)
from jaxopt_notes.optimizers.core.trainable import merge, moved, moving, restrict
from jaxopt_notes.optimizers.core.wrapping import narrowed, select
from jaxopt_notes.penalties.elastic_net import ElasticNet
from jaxopt_notes.penalties.group_lasso import GroupLasso
from jaxopt_notes.penalties.l0 import L0
from jaxopt_notes.penalties.l1 import L1, l1
from jaxopt_notes.penalties.l2 import L2
from jaxopt_notes.projections import (
    elastic_net_threshold,
    group_threshold,
    hard_threshold,
    shrink,
    soft_threshold,
)
from jaxopt_notes.record import as_leaf, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


@functools.singledispatch
def proximal_step(penalty: Callable, params: Tree, step: jax.Array) -> Tree:
    """argmin over x of step·penalty(x) + ½‖x − params‖².

    Arguments:
        penalty: `l1`, `l2`, `elastic_net`, `group_lasso`, `l0`, or a function of `(params, step)`
            that returns the minimum.
        params: a tree; leaves that stand still are `None`.
        step: t ≥ 0.

    Example:
        >>> from jaxopt_notes.penalties.l2 import l2
        >>> proximal_step(l2(1.0, mask=None), jnp.array([4.0]), jnp.array(1.0))
        Array([2.], dtype=float32)

    Source: Parikh & Boyd 2014, section 6.
    """
    return penalty(params, step)


@proximal_step.register
def _(penalty: L0, params: Tree, step: jax.Array) -> Tree:
    return _chosen(hard_threshold, penalty, params, safe_sqrt(2 * step * penalty.amount))


@proximal_step.register
def _(penalty: L1, params: Tree, step: jax.Array) -> Tree:
    return _chosen(soft_threshold, penalty, params, step * penalty.amount)


@proximal_step.register
def _(penalty: L2, params: Tree, step: jax.Array) -> Tree:
    return _chosen(shrink, penalty, params, step * penalty.amount)


@proximal_step.register
def _(penalty: ElasticNet, params: Tree, step: jax.Array) -> Tree:
    def threshold(x: jax.Array, amount: jax.Array) -> jax.Array:
        return elastic_net_threshold(x, amount, penalty.l1_ratio)

    return _chosen(threshold, penalty, params, step * penalty.amount)


@proximal_step.register
def _(penalty: GroupLasso, params: Tree, step: jax.Array) -> Tree:
    def threshold(x: jax.Array, amount: jax.Array) -> jax.Array:
        return group_threshold(x, amount, penalty.groups)

    return _chosen(threshold, penalty, params, step * penalty.amount)


def _chosen(function: Callable, penalty: Any, params: Tree, amount: jax.Array) -> Tree:
    """The function of every leaf that the penalty's mask chooses."""
    if penalty.mask is None:
        return jax.tree.map(lambda x: function(x, amount), params)
    mask = read_mask(penalty.mask, params)
    return jax.tree.map(
        lambda x, keep: function(x, amount) if x is not None and keep else x, params, mask, is_leaf=is_none
    )


class ProximalState(NamedTuple):
    """Steps made; with acceleration, Nesterov's t and the last iterate x (the parameters held are y)."""

    count: jax.Array
    t: jax.Array | None
    iterate: Tree


@record
class ProximalGradient(Transform):
    """See `proximal_gradient`."""

    learning_rate: Rate
    penalty: Callable
    accelerated: bool = static()

    def init(self, params: Tree) -> ProximalState:
        if not self.accelerated:
            return ProximalState(first_step(), None, None)

        def copy(leaf: ArrayLike) -> jax.Array | None:
            return jnp.array(leaf, dtype=compute_dtype(leaf), copy=True) if is_float(leaf) else None

        return ProximalState(first_step(), jnp.ones((), jnp.result_type(float)), jax.tree.map(copy, params))

    def update(
        self, updates: Tree, state: ProximalState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, ProximalState]:
        params = require_params("proximal_gradient", params)
        grads, here = moving(updates, params)
        rate = rate_at(self.learning_rate, state.count)

        def descend(y: jax.Array, g: jax.Array) -> jax.Array:
            return y - rate.astype(y.dtype) * g

        iterate = proximal_step(self.penalty, jax.tree.map(descend, here, grads), rate)
        count = increment(state.count)
        if state.t is None:
            new, target = ProximalState(count, None, None), iterate
        else:
            t = (1 + jnp.sqrt(1 + 4 * state.t**2)) / 2
            momentum = (state.t - 1) / t

            def extrapolate(x: jax.Array, last: jax.Array) -> jax.Array:
                return x + momentum.astype(x.dtype) * (x - last)

            target = jax.tree.map(extrapolate, iterate, restrict(state.iterate, here))
            new = ProximalState(count, t, merge(iterate, state.iterate))
        step = jax.tree.map(jnp.subtract, target, here)
        return moved(step, updates, params, accept), select(accept, new, state)

    def evaluation_params(self, params: Tree, state: ProximalState) -> Tree:
        if not self.accelerated:
            return params
        return merge(narrowed(state.iterate, params), params)


def proximal_gradient(
    learning_rate: Rate = 1e-3, penalty: Callable = l1(1e-3), accelerated: bool = True
) -> ProximalGradient:
    """Proximal gradient descent with Nesterov's acceleration (FISTA), or without it (ISTA).

        x ← prox(y − η·g)                                     prox(v) = argmin η·Ω(x) + ½‖x − v‖²
        t⁺ = (1 + √(1 + 4t²))/2
        y ← x + (t − 1)/t⁺·(x − x_last)                       ISTA: y ← x

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; at most 1/L, L the largest curvature of the loss.
        penalty: Ω: an `l1`, `l2`, `elastic_net`, `group_lasso` or `l0`, whose mask says which leaves (by
            default weights only), or a function `(params, step)` that returns
            argmin step·Ω(x) + ½‖x − params‖².
        accelerated: FISTA, whose error falls as 1/k²; else ISTA, 1/k. Static.

    Returns:
        A `ProximalGradient` record. Give it the gradient of the loss without the penalty. With
        acceleration the parameters held are y, where the gradient is to be taken, and
        `evaluation_params(optimizer, params, state)` gives x, which has the exact zeros; the state holds x.
        `update` needs `params`.

    Raises:
        ValueError: a negative rate, or `update` without params.

    Example:
        >>> optimizer = proximal_gradient(0.5, l1(1.0, mask=None), accelerated=False)
        >>> x = jnp.array([3.0, -0.5])
        >>> updates, _ = optimizer.update(x - 1.0, optimizer.init(x), x)
        >>> print(x + updates)
        [1.5 0. ]

    Source: Beck & Teboulle 2009, equations 1.4 and 4.1–4.3.

    Elsewhere: neither torch nor optax has it; jaxopt's `ProximalGradient` was a loop of its own.
    """
    return ProximalGradient(
        check_rate("proximal_gradient(learning_rate)", learning_rate), as_leaf(penalty), bool(accelerated)
    )

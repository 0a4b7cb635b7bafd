"""Sophia: momentum divided by the curvature, entry by entry, and never longer than the rate.

The curvature is the Hessian's diagonal, estimated now and then from one product with a random vector and
averaged. Where it is negative or not known, the bound on the step makes it one of `signum`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.control_flow import apply_if
from jaxopt_notes.dtypes import Tree, as_hyperparameter, zeros_like
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.hessian_diagonal import hutchinson
from jaxopt_notes.optimizers.core.leafwise import (
    PerLeaf,
    Transform,
    first_step,
    increment,
    leafwise,
    number_where,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.optimizers.core.trainable import merge, moving, objective, restrict
from jaxopt_notes.record import Number, check_number, check_seed, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class SophiaState(NamedTuple):
    """Steps made, and the moving averages of the gradient and of the Hessian's diagonal."""

    count: jax.Array
    mu: Tree
    nu: Tree


@record
class Sophia(Transform):
    """See `sophia`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    weight_decay: Rate
    gamma: Number
    clip_threshold: Number
    update_interval: Number
    seed: Number
    mask: Mask | None = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> SophiaState:
        (mu,) = moments(params, (1,), self.state_dtype)
        (nu,) = moments(zeros_like(params, real=True), (1,), self.state_dtype)  # it may be negative
        return SophiaState(first_step(), mu, nu)

    def update(
        self,
        updates: Tree,
        state: SophiaState,
        params: Tree = None,
        *,
        value_fn: Callable | None = None,
        hessian_fn: Callable | None = None,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, SophiaState]:
        params = require_params("sophia", params)
        _, here = moving(updates, params)
        key = jax.random.fold_in(jax.random.key(jnp.asarray(self.seed).astype(jnp.uint32)), state.count)

        def estimate(here: Tree) -> Tree:
            if hessian_fn is not None:
                return restrict(hessian_fn(merge(here, params), key), here)
            return hutchinson(
                objective("sophia", "value_fn", value_fn, params, lambda x: x, extra), here, key
            )

        interval = jnp.maximum(jnp.round(as_hyperparameter(self.update_interval)), 1).astype(jnp.int32)
        due = state.count % interval == 0
        zeros = zeros_like(here, real=True)
        diagonal = apply_if(due, lambda zeros: _like(estimate(here), zeros), zeros)
        rate = rate_at(self.learning_rate, state.count)
        decay = number_where(self.mask, rate * rate_at(self.weight_decay, state.count), params)
        updates, mu, nu = leafwise(
            sophia_step, updates, params, state.mu, state.nu,
            accept=accept, rate=rate, decay=decay, diagonal=PerLeaf(diagonal),
            b1=self.b1, b2=jnp.where(due, as_hyperparameter(self.b2), 1),
            gamma=self.gamma, eps=self.eps, clip=self.clip_threshold,
        )  # fmt: skip
        return updates, SophiaState(increment(state.count, accept), mu, nu)


def sophia_step(g, p, m, h, *, rate, decay, diagonal, b1, b2, gamma, eps, clip, store=store_always):
    """The update of one leaf and its averages; `decay` is ηλ, b2 is 1 where there is no new estimate."""
    m = store(m, b1 * m + (1 - b1) * g)
    h = store(h, b2 * h + (1 - b2) * diagonal)
    # The quotient m/max(γ·h, eps), cut off at ±clip, without the chance to overflow.
    curvature = jnp.maximum(jnp.maximum(gamma * h, eps), jnp.abs(m) / clip)
    return -(rate * m / curvature + decay * p), m, h


def _like(tree: Tree, zeros: Tree) -> Tree:
    return jax.tree.map(lambda x, zero: jnp.asarray(x).astype(zero.dtype), tree, zeros)


def sophia(
    learning_rate: Rate = 1e-4,
    b1: Number = 0.965,
    b2: Number = 0.99,
    eps: Number = 1e-12,
    weight_decay: Rate = 1e-4,
    *,
    gamma: Number = 0.01,
    clip_threshold: Number = 1.0,
    update_interval: Number = 10,
    seed: Number = 0,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> Sophia:
    """Sophia: second-order clipped stochastic optimization.

        m ← b1·m + (1 − b1)·g
        h ← b2·h + (1 − b2)·ĥ                    (every k-th step, the first included; ĥ estimates diag ∇²L)
        θ ← θ − η·clip(m/max(γ·h, eps), ±c) − η·λ·θ

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; the longest step is ηc.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the curvature, in [0, 1).
        eps: > 0, the least curvature.
        weight_decay: λ ≥ 0, a number or a schedule.
        gamma: γ > 0; the larger, the fewer entries are cut off, and the share that is not should be 10 to
            50 %. The paper has 0.01 for Hutchinson's estimate and 0.05 for the other.
        clip_threshold: c in (0, inf].
        update_interval: k ≥ 1, rounded to a whole number; may be traced.
        seed: a whole number, for the estimates.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        state_dtype: precision of m and h, see `moments`.

    Returns:
        A `Sophia` record. Its state holds m and h. `update` needs `params` and one of two:
        `value_fn=`, the loss as a function of the parameters, of which `hutchinson` makes ĥ; or
        `hessian_fn=`, a function `(params, key) -> ĥ`, such as `gauss_newton_bartlett` gives.

    Raises:
        ValueError: a number outside its interval, `update` without params or without a function.

    Example:
        >>> loss = lambda x: jnp.sum(jnp.array([1.0, 10.0]) * x**2 / 2)
        >>> optimizer = sophia(learning_rate=1.0, b1=0.0, b2=0.0, gamma=1.0, weight_decay=0.0)
        >>> x = jnp.array([0.5, -0.3])
        >>> updates, _ = optimizer.update(jax.grad(loss)(x), optimizer.init(x), x, value_fn=loss)
        >>> print(updates)  # Newton's step
        [-0.5  0.3]

    Source: Liu et al. 2024, "Sophia: a scalable stochastic second-order optimizer for language model
    pre-training", algorithms 1 to 3 (b1 0.96).

    Elsewhere: `optax.contrib.sophia` corrects m for its start at zero, steps with the h of the step before
    (so the first is one of signs), has eps 1e-8, and calls the loss `obj_fn`. torch has none.
    """
    where = "sophia({})".format
    return Sophia(
        learning_rate=check_rate(where("learning_rate"), learning_rate),
        b1=check_number(where("b1"), b1, "[0, 1)", "the usual value is 0.965"),
        b2=check_number(where("b2"), b2, "[0, 1)", "the usual value is 0.99"),
        eps=check_number(where("eps"), eps, "(0, inf)"),
        weight_decay=check_rate(where("weight_decay"), weight_decay),
        gamma=check_number(where("gamma"), gamma, "(0, inf)", "the usual value is 0.01"),
        clip_threshold=check_number(
            where("clip_threshold"), clip_threshold, "(0, inf]", "inf switches it off"
        ),
        update_interval=check_number(where("update_interval"), update_interval, "[1, inf)"),
        seed=check_seed(where("seed"), seed),
        mask=as_mask(mask),
        state_dtype=check_state_dtype(where("state_dtype"), state_dtype),
    )

"""Lookahead: k steps of any optimizer forward, then back to a point on the line from the start."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float, is_none
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.wrapping import narrowed, update_inner
from jaxopt_notes.record import Number, check_number, record


class LookaheadState(NamedTuple):
    """The wrapped optimizer's state, its steps since the last synchronization, and the slow parameters."""

    inner: Tree
    steps_since_sync: jax.Array
    slow: Tree


@record
class Lookahead(Transform):
    """See `lookahead`."""

    optimizer: GradientTransform
    sync_period: Number
    slow_step_size: Number

    def init(self, params: Tree) -> LookaheadState:
        def copy(leaf: ArrayLike) -> jax.Array | None:
            return jnp.array(leaf, dtype=compute_dtype(leaf), copy=True) if is_float(leaf) else None

        return LookaheadState(self.optimizer.init(params), first_step(), jax.tree.map(copy, params))

    def update(
        self,
        updates: Tree,
        state: LookaheadState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, LookaheadState]:
        params = require_params("lookahead", params)
        fast, inner = update_inner(self.optimizer, updates, state.inner, params, accept, extra)
        steps = increment(state.steps_since_sync, accept)
        sync = as_hyperparameter(steps) >= jnp.round(as_hyperparameter(self.sync_period))
        updates, slow = leafwise(
            synchronize, fast, params, state.slow, accept=accept,
            alpha=self.slow_step_size, sync=sync,
        )  # fmt: skip
        return updates, LookaheadState(inner, jnp.where(sync, 0, steps), slow)

    def evaluation_params(self, params: Tree, state: LookaheadState) -> Tree:
        slow = narrowed(state.slow, params)
        return jax.tree.map(lambda p, s: p if s is None else s, params, slow, is_leaf=is_none)


def synchronize(u, p, slow, *, alpha, sync, store=store_always):
    """Where `sync` is 1: φ ← φ + α(θ + u − φ), and the update goes there; else both as they are."""
    new = store(slow, jnp.where(sync > 0, slow + alpha * (p + u - slow), slow))
    return jnp.where(sync > 0, new - p, u), new


def lookahead(
    optimizer: GradientTransform, sync_period: Number = 5, slow_step_size: Number = 0.5
) -> Lookahead:
    """Lookahead: a fast optimizer, drawn back to slow parameters every k steps.

        θ ← θ + optimizer(g)                     every step
        φ ← φ + α·(θ − φ);  θ ← φ                every k-th

    Arguments:
        optimizer: any optimizer or chain; its state is kept when θ is drawn back.
        sync_period: k ≥ 1, rounded to a whole number; may be traced.
        slow_step_size: α in [0, 1]; 1 is the optimizer alone.

    Returns:
        A `Lookahead` record; `evaluation_params(optimizer, params, state)` gives φ. Its state holds
        `inner`, `steps_since_sync` and `slow`, φ in at least float32. `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = lookahead(sgd(1.0), sync_period=2)
        >>> params = jnp.array(0.0)
        >>> state = optimizer.init(params)
        >>> for _ in range(4):
        ...     update, state = optimizer.update(jnp.array(1.0), state, params)
        ...     params = params + update
        ...     print(params)
        -1.0
        -1.0
        -2.0
        -2.0

    Source: Zhang et al. 2019, algorithm 1 (k 5, α 0.5); for several levels wrap it again.

    Elsewhere: `optax.lookahead` holds both sets of parameters in a pair that the training loop has to
    know of, and can reset the inner state.
    """
    return Lookahead(
        optimizer=as_transform(optimizer),
        sync_period=check_number("lookahead(sync_period)", sync_period, "[1, inf)"),
        slow_step_size=check_number(
            "lookahead(slow_step_size)", slow_step_size, "[0, 1]", "1 is the optimizer alone"
        ),
    )

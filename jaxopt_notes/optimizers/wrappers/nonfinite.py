"""Gradients that are not finite: neither parameters nor state may see them.

`skip_nonfinite` around an optimizer leaves out the whole step, which is the rule; `zero_nonfinite` before one
leaves out single entries, where the others are known to be right. Both count.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, is_float
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.core.chain import Chain, as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment, leafwise
from jaxopt_notes.optimizers.core.wrapping import select, update_inner
from jaxopt_notes.optimizers.transforms.clipping import ClipByGlobalNorm
from jaxopt_notes.record import record


class SkipNonfiniteState(NamedTuple):
    """The wrapped optimizer's state, how many steps were skipped, and whether the last one was taken."""

    inner: Any
    skipped: jax.Array
    last_finite: jax.Array


@record
class SkipNonfinite(Transform):
    """See `skip_nonfinite`."""

    optimizer: Any

    def init(self, params: Tree) -> SkipNonfiniteState:
        return SkipNonfiniteState(self.optimizer.init(params), first_step(), jnp.array(True))

    def update(
        self,
        updates: Tree,
        state: SkipNonfiniteState,
        params: Tree = None,
        *,
        accept: Any = None,
        **extra: Any,
    ) -> tuple[Tree, SkipNonfiniteState]:
        finite = _all_finite(updates, self.optimizer)
        accept = finite if accept is None else finite & accept
        updates, inner = update_inner(self.optimizer, updates, state.inner, params, accept, extra)
        skipped = increment(state.skipped, ~finite)
        return updates, SkipNonfiniteState(inner, skipped, finite)

    def evaluation_params(self, params: Tree, state: SkipNonfiniteState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def _all_finite(updates: Tree, optimizer: Any) -> jax.Array:
    first = optimizer.transforms[0] if isinstance(optimizer, Chain) and optimizer.transforms else optimizer
    if isinstance(first, ClipByGlobalNorm):
        # The norm is finite exactly when every entry is, and the clip computes it anyway.
        return jnp.isfinite(global_norm(updates))
    # x − x is 0 for every finite x and NaN for the others: a sum in one pass that cannot overflow, behind
    # a barrier because XLA would store differences that it finds elsewhere too.
    leaves = [
        lax.optimization_barrier(jnp.asarray(leaf)) for leaf in jax.tree.leaves(updates) if is_float(leaf)
    ]
    checks = [jnp.isfinite(jnp.sum(leaf - leaf)) for leaf in leaves]
    return functools.reduce(jnp.logical_and, checks, jnp.array(True))


def skip_nonfinite(optimizer: Any) -> SkipNonfinite:
    """Take a step only if the whole gradient is finite; count the steps that were not taken.

        (u, s) ← optimizer(g, s) if every |gᵢ| < ∞, else (0, s)

    Arguments:
        optimizer: any optimizer or chain.

    Returns:
        A `SkipNonfinite` record; its state holds `inner`, `skipped` (int32) and `last_finite`.

    Example:
        >>> from jaxopt_notes.optimizers.adam import adam
        >>> optimizer = skip_nonfinite(adam(0.1))
        >>> state = optimizer.init(jnp.zeros(2))
        >>> updates, state = optimizer.update(jnp.array([jnp.nan, 1.0]), state)
        >>> print(updates, int(state.skipped), int(state.inner.count))
        [0. 0.] 1 0

    Source: row S3-48 of the notes.

    Elsewhere: `optax.apply_if_finite` looks at the updates instead of the gradients and gives in
    after a number of failures in a row.
    """
    return SkipNonfinite(as_transform(optimizer))


class ZeroNonfiniteState(NamedTuple):
    """Steps in which something was zeroed, and how many entries in the last step."""

    zeroed_steps: jax.Array
    last_zeroed: jax.Array


@record
class ZeroNonfinite(Transform):
    """See `zero_nonfinite`."""

    def init(self, params: Tree) -> ZeroNonfiniteState:
        return ZeroNonfiniteState(first_step(), first_step())

    def update(
        self,
        updates: Tree,
        state: ZeroNonfiniteState,
        params: Tree = None,
        *,
        accept: Any = None,
        **extra: Any,
    ) -> tuple[Tree, ZeroNonfiniteState]:
        counts = [jnp.sum(~jnp.isfinite(g), dtype=jnp.int32) for g in jax.tree.leaves(updates) if is_float(g)]
        number = functools.reduce(jnp.add, counts, jnp.zeros((), jnp.int32))
        (updates,) = leafwise(finite_or_zero, updates, params, accept=accept)
        new = ZeroNonfiniteState(increment(state.zeroed_steps, number > 0), number)
        return updates, select(accept, new, state)


def finite_or_zero(g, p):
    """The gradient of one leaf, 0 in place of what is infinite or NaN."""
    return jnp.where(jnp.isfinite(g), g, jnp.zeros_like(g))


def zero_nonfinite() -> ZeroNonfinite:
    """Replace infinite and NaN entries by 0, and count them; the rest of the step is taken.

        gᵢ ← gᵢ if |gᵢ| < ∞, else 0

    Returns:
        A `ZeroNonfinite` record, to stand first in `chain`; its state holds `zeroed_steps` and
        `last_zeroed` (int32).

    Example:
        >>> transform = zero_nonfinite()
        >>> updates, state = transform.update(jnp.array([jnp.nan, 1.0]), transform.init(jnp.zeros(2)))
        >>> print(updates, state.zeroed_steps, state.last_zeroed)
        [0. 1.] 1 1

    Source: row S3-48 of the notes.

    Elsewhere: `optax.zero_nans`, which leaves infinite entries and remembers which leaves had a NaN.
    """
    return ZeroNonfinite()

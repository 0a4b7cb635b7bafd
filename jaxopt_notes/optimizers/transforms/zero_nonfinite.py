"""Entries of a gradient that are not finite become 0, and are counted; the rest of the step is taken."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, is_float
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment, leafwise
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.record import record


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
        accept: Accept = None,
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

    Source: Pascanu et al. 2013.

    Elsewhere: `optax.zero_nans`, which leaves infinite entries and remembers which leaves had a NaN.
    """
    return ZeroNonfinite()

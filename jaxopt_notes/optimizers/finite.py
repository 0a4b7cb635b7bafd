"""Steps that are not finite must not be taken: neither parameters nor state may see them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.chain import as_transform
from jaxopt_notes.optimizers.evaluation import evaluation_params
from jaxopt_notes.optimizers.leafwise import Transform, first_step, increment
from jaxopt_notes.record import record
from jaxopt_notes.trees import Tree


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
        # The norm is finite exactly when every entry is; behind a global-norm clip it is shared with it.
        finite = jnp.isfinite(global_norm(updates))
        accept = finite if accept is None else finite & accept
        if getattr(self.optimizer, "gated", False):
            updates, inner = self.optimizer.update(updates, state.inner, params, accept=accept, **extra)
        else:
            updates, inner = self.optimizer.update(updates, state.inner, params, **extra)
            updates = jax.tree.map(lambda u: jnp.where(accept, u, jnp.zeros_like(u)), updates)
            inner = jax.tree.map(lambda new, old: jnp.where(accept, new, old), inner, state.inner)
        skipped = increment(state.skipped, ~finite)
        return updates, SkipNonfiniteState(inner, skipped, finite)

    def evaluation_params(self, params: Tree, state: SkipNonfiniteState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


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

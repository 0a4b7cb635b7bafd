"""Snapshots: the parameters at the ends of cycles of the rate, for an ensemble at the price of one run.

A cyclic rate (`sgdr`) takes the parameters to a minimum, and out of it again into the next. What they were
at the ends of the last k cycles is kept; a model with each of them is a member of the ensemble. As in the
averages of parameters, what is kept is what the training loop holds after a step, rounded, projected or
whatever became of it: it is seen at the next update.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float, is_none
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    require_params,
)
from jaxopt_notes.optimizers.core.wrapping import select, update_inner
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.sharding import placed_like


class SnapshotsState(NamedTuple):
    """The wrapped optimizer's state, steps made, cycles ended, when the next one ends, and its length.

    `kept` are the parameters at the ends of the last cycles, [k, …] each, the i-th in place i mod k.
    """

    inner: Tree
    count: jax.Array
    taken: jax.Array
    next_end: jax.Array
    length: jax.Array
    kept: Tree


@record
class Snapshots(Transform):
    """See `snapshots`."""

    optimizer: GradientTransform
    decay_steps: Number
    t_mul: Number
    number: int = static()

    def init(self, params: Tree) -> SnapshotsState:
        def room(leaf: ArrayLike) -> jax.Array | None:
            if not is_float(leaf):
                return None
            return placed_like(jnp.zeros((self.number, *jnp.shape(leaf)), compute_dtype(leaf)), leaf)

        end, length = (jnp.array(as_hyperparameter(self.decay_steps), copy=True) for _ in range(2))
        kept = jax.tree.map(room, params)
        return SnapshotsState(self.optimizer.init(params), first_step(), first_step(), end, length, kept)

    def update(
        self,
        updates: Tree,
        state: SnapshotsState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, SnapshotsState]:
        params = require_params("snapshots", params)
        seen = self._seen(params, state, accept)
        updates, inner = update_inner(self.optimizer, updates, state.inner, params, accept, extra)
        return updates, seen._replace(inner=inner, count=increment(state.count, accept))

    def _seen(self, params: Tree, state: SnapshotsState, accept: Accept = None) -> SnapshotsState:
        """The state after a look at the parameters: they are kept if a cycle has just ended."""
        due = as_hyperparameter(state.count) >= state.next_end
        due = due if accept is None else due & accept
        place = state.taken % self.number

        def keep(theta: ArrayLike | None, kept: Any) -> Any:
            if kept is None:
                return None
            old = lax.dynamic_index_in_dim(kept, place, keepdims=False)
            new = jnp.where(due, jnp.asarray(theta).astype(kept.dtype), old)  # one place is touched, not k
            return lax.dynamic_update_index_in_dim(kept, new, place, 0)

        held = evaluation_params(self.optimizer, params, state.inner)
        length = state.length * as_hyperparameter(self.t_mul)
        next_end, length = select(due, (state.next_end + length, length), (state.next_end, state.length))
        kept = jax.tree.map(keep, held, state.kept, is_leaf=is_none)
        return SnapshotsState(state.inner, state.count, increment(state.taken, due), next_end, length, kept)

    def members(self, params: Tree, state: SnapshotsState) -> tuple[Tree, jax.Array]:
        """The last snapshots, the oldest first, and which of them there are.

        Returns:
            A tree of arrays [k, …], with which a model is run by `vmap`; and bools [k], True at the end.
            Before the k-th cycle has ended the first places are zeros and do not count. Leaves that are
            no floating point are those of `params`, k times.
        """
        seen = self._seen(params, state)

        def in_order(theta: ArrayLike | None, kept: Any) -> Any:
            if kept is None:
                return None if theta is None else jnp.stack([jnp.asarray(theta)] * self.number)
            return jnp.roll(kept, -seen.taken, axis=0).astype(jnp.result_type(theta))

        members = jax.tree.map(in_order, params, seen.kept, is_leaf=is_none)
        return members, jnp.arange(self.number) >= self.number - seen.taken

    def evaluation_params(self, params: Tree, state: SnapshotsState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def snapshots(
    optimizer: GradientTransform, decay_steps: Number = 100, number: int = 5, t_mul: Number = 1.0
) -> Snapshots:
    """Keep the parameters at the ends of the last k cycles of the rate.

        Θ = (θ_{t₁}, θ_{t₂}, …),  tᵢ = T₀·(1 + m + … + mⁱ⁻¹)

    Arguments:
        optimizer: any optimizer or chain, with `sgdr(η, decay_steps, t_mul)` as its rate; its path is not
            changed.
        decay_steps: T₀ ≥ 1, the steps of the first cycle. May be traced.
        number: k ≥ 1, static: how many are kept, as copies of the parameters in at least float32.
        t_mul: m ≥ 1, how much longer each cycle is than the one before; 2 is `sgdr`'s default.

    Returns:
        A `Snapshots` record; its method `members(params, state)` gives the snapshots as a tree of arrays
        [k, …], the oldest first, and which of them there are already. Where the optimizer has evaluation
        parameters those are kept. `update` needs `params`; a step reads and writes one copy, whatever k is.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = snapshots(sgd(1.0), decay_steps=2, number=2)
        >>> params = jnp.array(0.0)
        >>> state = optimizer.init(params)
        >>> for _ in range(6):  # to −1, …, −6: cycles end at −2, −4 and −6
        ...     update, state = optimizer.update(jnp.array(1.0), state, params)
        ...     params = params + update
        >>> optimizer.members(params, state)
        (Array([-4., -6.], dtype=float32), Array([ True,  True], dtype=bool))

    Source: Huang et al. 2017, section 3; Loshchilov & Hutter 2017 for the cycles.

    Elsewhere: neither torch nor optax has it (`optax.snapshot` keeps updates for a look at them).
    """
    return Snapshots(
        optimizer=as_transform(optimizer),
        decay_steps=check_number("snapshots(decay_steps)", decay_steps, "[1, inf)"),
        t_mul=check_number("snapshots(t_mul)", t_mul, "[1, inf)", "1 makes all cycles equally long"),
        number=check_count("snapshots(number)", number, 1),
    )

"""A transform that acts at some steps only: a clip during warm-up, a projection every tenth step.

The condition may be traced, batched and swept; where it does not hold, the transform's state waits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, cast_like, is_float, is_none
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment
from jaxopt_notes.optimizers.core.wrapping import update_inner
from jaxopt_notes.record import as_leaf, check_choice, record, static


class ConditionallyState(NamedTuple):
    """The wrapped transform's state, and all steps made, with it or without."""

    inner: Tree
    count: jax.Array


@record
class Conditionally(Transform):
    """See `conditionally`."""

    optimizer: GradientTransform
    condition: Callable | ArrayLike
    outside: str = static()
    with_extra: bool = static()

    def init(self, params: Tree) -> ConditionallyState:
        return ConditionallyState(self.optimizer.init(params), first_step())

    def update(
        self,
        updates: Tree,
        state: ConditionallyState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, ConditionallyState]:
        holds = self._holds(state.count, extra if self.with_extra else {})
        taken = holds if accept is None else holds & accept
        inside, inner = update_inner(self.optimizer, updates, state.inner, params, taken, extra)
        passed = ~holds if accept is None else ~holds & accept

        def merge(raw: ArrayLike | None, new: Any, like: Any) -> ArrayLike | None:
            if raw is None or not is_float(new) or self.outside == "zero":
                return new
            return jnp.where(passed, cast_like(raw, like), new)  # the new one is 0 where it is not taken

        likes = updates if params is None else params
        steps = jax.tree.map(merge, updates, inside, likes, is_leaf=is_none)
        return steps, ConditionallyState(inner, increment(state.count, accept))

    def _holds(self, step: jax.Array, extra: dict) -> jax.Array:
        condition = self.condition
        return jnp.asarray(condition(step, **extra) if callable(condition) else condition).astype(bool)

    def evaluation_params(self, params: Tree, state: ConditionallyState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def conditionally(
    optimizer: GradientTransform,
    condition: Callable | ArrayLike = True,
    *,
    outside: str = "raw",
    with_extra: bool = False,
) -> Conditionally:
    """Apply a transform only where a condition holds; else updates and its state pass as they are.

        (u, s) ← transform(u, s) where condition(t), else (u, s)

    Arguments:
        optimizer: any transform, optimizer or chain.
        condition: a function of the step t = 0, 1, … (int32) that returns a bool, traced or not, or a
            bool (1 or 0) by itself. A record or a `jax.tree_util.Partial` has numbers that can be swept.
        outside: what leaves where the condition does not hold: "raw" for the updates as they came, or
            "zero", for an optimizer that is not to move the parameters then.
        with_extra: whether the condition is also given the further arguments of `update` by name, such
            as `value`, the loss; it then has to take all of them.

    Returns:
        A `Conditionally` record; its state holds `inner` and `count`, of all steps. The wrapped transform
        counts its own.

    Raises:
        ValueError: an unknown `outside`.

    Example:
        >>> from jaxopt_notes.optimizers.transforms.clipping import clip_by_value
        >>> clip_at_first = conditionally(clip_by_value(1.0), lambda step: step < 1)
        >>> state = clip_at_first.init(jnp.zeros(1))
        >>> for _ in range(2):
        ...     update, state = clip_at_first.update(jnp.array([5.0]), state)
        ...     print(update)
        [1.]
        [5.]

    Elsewhere: `optax.conditionally_transform`, and `optax.conditionally_mask` for zeros; with a `lax.cond`,
    of which `vmap` makes what is here.
    """
    return Conditionally(
        optimizer=as_transform(optimizer),
        condition=as_leaf(condition),
        outside=check_choice("conditionally(outside)", outside, ("raw", "zero")),
        with_extra=with_extra,
    )

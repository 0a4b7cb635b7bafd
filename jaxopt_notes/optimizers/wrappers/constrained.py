"""Constraints on top of any optimizer: after each of its steps a projection, or a proximal step.

    projected    θ ← P(θ + u)                     the nearest point that is allowed
    proximal     θ ← prox of ηΩ at θ + u          exact zeros, where a penalty in the loss makes small numbers
    pruned       θ ← θ + u where kept, else 0     a network that stays sparse while it is trained on

With plain gradient descent inside, the first two are `projected_gradient` and `proximal_gradient`. With an
optimizer that scales every coordinate for itself, as Adam does, the nearest point is still meant in the
plain Euclidean sense: constraints hold after every step, but a penalty pulls differently than one that is
part of the loss.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, is_none
from jaxopt_notes.masks import Mask, MaskLike, as_mask, read_mask
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment, require_params
from jaxopt_notes.optimizers.core.trainable import merge, moved, moving
from jaxopt_notes.optimizers.core.wrapping import update_inner
from jaxopt_notes.optimizers.solvers.proximal_gradient import proximal_step
from jaxopt_notes.penalties.l1 import l1
from jaxopt_notes.projections import project_max_norm
from jaxopt_notes.record import Number, as_leaf, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class ConstrainedState(NamedTuple):
    """The wrapped optimizer's state, and the steps made."""

    inner: Tree
    count: jax.Array


class Constrained(Transform):
    """What the three share; each has a `nearest(params, count)`: the allowed point to stand for that one."""

    optimizer: GradientTransform

    def nearest(self, params: Tree, count: jax.Array) -> Tree:
        raise NotImplementedError

    def init(self, params: Tree) -> ConstrainedState:
        return ConstrainedState(self.optimizer.init(params), first_step())

    def update(
        self,
        updates: Tree,
        state: ConstrainedState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, ConstrainedState]:
        params = require_params(type(self).__name__.lower(), params)
        updates, inner = update_inner(self.optimizer, updates, state.inner, params, accept, extra)
        steps, here = moving(updates, params)
        target = self.nearest(jax.tree.map(jnp.add, here, steps), state.count)
        steps = jax.tree.map(jnp.subtract, target, here)
        return moved(steps, updates, params, accept), ConstrainedState(inner, increment(state.count, accept))

    def evaluation_params(self, params: Tree, state: ConstrainedState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


@record
class Projected(Constrained):
    """See `projected`."""

    optimizer: GradientTransform
    projection: Callable
    numbers: dict
    mask: Mask | None = static()

    def nearest(self, params: Tree, count: jax.Array) -> Tree:
        keep = read_mask(self.mask, params)
        chosen = jax.tree.map(lambda x, k: x if k else None, params, keep, is_leaf=is_none)
        return merge(self.projection(chosen, **self.numbers), params)


def projected(
    optimizer: GradientTransform,
    projection: Callable[..., Tree] = project_max_norm,
    mask: MaskLike = "weights_only",
    **numbers: Number,
) -> Projected:
    """After each step of an optimizer, back to the nearest point of a set.

        θ ← P(θ + optimizer(g))

    Arguments:
        optimizer: any optimizer or chain.
        projection: a function of `jaxopt_notes.projections`, or any from a tree to such a tree.
        mask: what is projected, together as one point: "weights_only" (rank ≥ 2, no scale or bias), a
            function of the parameters, a tree of bools, or `None` for all.
        numbers: arguments of the projection, such as `max_norm=3.0`: leaves of the record.

    Returns:
        A `Projected` record. `update` needs `params`; after each step they are in the set.

    Raises:
        ValueError: `update` without params.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = projected(sgd(1.0), project_max_norm, max_norm=1.0)
        >>> params = {"kernel": jnp.zeros((2, 1)), "bias": jnp.zeros(1)}
        >>> grads = {"kernel": -jnp.array([[3.0], [4.0]]), "bias": -jnp.ones(1)}
        >>> updates, _ = optimizer.update(grads, optimizer.init(params), params)
        >>> print(updates["kernel"].ravel(), updates["bias"])
        [0.6 0.8] [1.]

    Source: Srivastava et al. 2014, section 5.1, max-norm with dropout; Goodfellow, Bengio & Courville 2016,
    section 7.2.

    Elsewhere: Keras' `kernel_constraint`; with optax the loop projects after `apply_updates`.
    """
    return Projected(as_transform(optimizer), as_leaf(projection), dict(numbers), as_mask(mask))


@record
class Proximal(Constrained):
    """See `proximal`."""

    optimizer: GradientTransform
    penalty: Callable
    learning_rate: Rate

    def nearest(self, params: Tree, count: jax.Array) -> Tree:
        return proximal_step(self.penalty, params, rate_at(self.learning_rate, count))


def proximal(
    optimizer: GradientTransform, penalty: Callable = l1(1e-3), learning_rate: Rate = 1e-3
) -> Proximal:
    """After each step of an optimizer a proximal step on a penalty, which makes exact zeros.

        θ ← argmin over x of η·Ω(x) + ½‖x − (θ + optimizer(g))‖²

    Arguments:
        optimizer: any optimizer or chain, on the gradient of the loss without the penalty.
        penalty: Ω, as for `proximal_gradient`; its mask says which leaves (by default weights only).
        learning_rate: η ≥ 0, a number or a schedule: that of the optimizer.

    Returns:
        A `Proximal` record. `update` needs `params`.

    Raises:
        ValueError: a negative rate, or `update` without params.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = proximal(sgd(0.5), l1(1.0, mask=None), 0.5)
        >>> params = jnp.array([3.0, -0.5])
        >>> updates, _ = optimizer.update(params - 1.0, optimizer.init(params), params)
        >>> print(params + updates)
        [1.5 0. ]

    Source: Duchi & Singer 2009 (FOBOS); Parikh & Boyd 2014, section 4.2.
    """
    rate = check_rate("proximal(learning_rate)", learning_rate)
    return Proximal(as_transform(optimizer), as_leaf(penalty), rate)


@record
class Pruned(Constrained):
    """See `pruned`."""

    optimizer: GradientTransform
    keep: Tree

    def nearest(self, params: Tree, count: jax.Array) -> Tree:
        return _kept(params, self.keep)

    def update(
        self,
        updates: Tree,
        state: ConstrainedState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, ConstrainedState]:
        return super().update(_kept(updates, self.keep), state, params, accept=accept, **extra)

    def evaluation_params(self, params: Tree, state: ConstrainedState) -> Tree:
        return _kept(super().evaluation_params(params, state), self.keep)


def _kept(tree: Tree, keep: Tree) -> Tree:
    """Zeros where a tree of bool arrays (`None`: all of a leaf is kept) says False."""
    if keep is None:
        return tree

    def one(k: Any, x: ArrayLike | None) -> ArrayLike | None:
        return x if k is None or x is None else jnp.where(k, x, jnp.zeros_like(x))

    return jax.tree.map(one, keep, tree, is_leaf=is_none)


def pruned(optimizer: GradientTransform, keep: Tree = None) -> Pruned:
    """Train what pruning has left: weights that were pruned are 0 and stay 0.

        θ ← θ + optimizer(g·m) where m, else 0

    Arguments:
        optimizer: any optimizer or chain; it sees the gradient 0 where nothing is kept.
        keep: m, bool arrays of the shapes of the parameters, `None` for leaves that are kept whole: what
            `magnitude_mask` gives. A leaf of the record: a population may prune each member differently.

    Returns:
        A `Pruned` record. The first step sets to 0 what is not kept and was not 0 yet. `update` needs
        `params`.

    Example:
        >>> from jaxopt_notes.optimizers.adam import adam
        >>> optimizer, params = pruned(adam(0.5), jnp.array([True, False])), jnp.array([2.0, 0.1])
        >>> updates, _ = optimizer.update(jnp.ones(2), optimizer.init(params), params)
        >>> print(params + updates)
        [1.5 0. ]

    Source: Han et al. 2015; Zhu & Gupta 2017.

    Elsewhere: `torch.nn.utils.prune` multiplies the weight by a mask in every forward pass.
    """
    return Pruned(as_transform(optimizer), keep)

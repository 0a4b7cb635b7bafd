"""Optimizers for some of the leaves: the others hold no state and do not move."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, is_none
from jaxopt_notes.masks import Mask, MaskLike, as_mask, read_mask
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.optimizers.core.trainable import merge
from jaxopt_notes.record import check_choice, record, static


class MaskedState(NamedTuple):
    """The wrapped optimizer's state; it has no leaves where the mask is False."""

    inner: Tree


@record
class Masked:
    """See `masked`."""

    optimizer: GradientTransform
    mask: Mask | None = static()
    outside: str = static()

    @property
    def gated(self) -> bool:
        return getattr(self.optimizer, "gated", False)

    def init(self, params: Tree) -> MaskedState:
        return MaskedState(self.optimizer.init(_select(params, read_mask(self.mask, params))))

    def update(
        self, updates: Tree, state: MaskedState, params: Tree = None, **extra: Any
    ) -> tuple[Tree, MaskedState]:
        mask = read_mask(self.mask, updates if params is None else params)
        chosen = None if params is None else _select(params, mask)
        accept = extra.get("accept")
        extra = {name: _inside(name, value, params, mask) for name, value in extra.items()}
        inside, inner = self.optimizer.update(_select(updates, mask), state.inner, chosen, **extra)
        inside = None if mask is False else inside

        def merge(keep: bool, raw: ArrayLike | None, new: ArrayLike | None) -> ArrayLike | None:
            if keep or raw is None:
                return new
            if self.outside == "raw":
                return raw if accept is None else jnp.where(accept, raw, jnp.zeros_like(raw))
            return jnp.zeros_like(raw)

        return jax.tree.map(merge, mask, updates, inside, is_leaf=is_none), MaskedState(inner)

    def evaluation_params(self, params: Tree, state: MaskedState) -> Tree:
        mask = read_mask(self.mask, params)
        if mask is False:
            return params
        inside = evaluation_params(self.optimizer, _select(params, mask), state.inner)
        return jax.tree.map(
            lambda keep, old, new: new if keep else old, mask, params, inside, is_leaf=is_none
        )


def _select(tree: Tree, mask: Tree) -> Tree:
    """The leaves that are True in the mask, `None` in place of the others.

    A tree that is one leaf, and masked out, becomes an empty tree: `None` would say that it is not known.
    """
    if mask is False:
        return ()
    return jax.tree.map(lambda keep, leaf: leaf if keep else None, mask, tree, is_leaf=is_none)


def _inside(name: str, value: Any, params: Tree, mask: Tree) -> Any:
    """A further argument of `update` as the wrapped optimizer, which sees the chosen leaves, can use it."""
    if name == "grad":
        return _select(value, mask)
    if name not in ("value_fn", "residual_fn", "hessian_fn") or params is None:
        return value

    @functools.wraps(value)
    def of_the_chosen(chosen: Tree, *args: Any, **kwargs: Any) -> Any:
        found = value(params if mask is False else merge(chosen, params), *args, **kwargs)
        return _select(found, mask) if name == "hessian_fn" else found

    return of_the_chosen


def masked(optimizer: GradientTransform, mask: MaskLike = "weights_only", *, outside: str = "zero") -> Masked:
    """Apply an optimizer to the leaves that a mask selects, and leave the others where they are.

        u ← optimizer(g) where the mask is True, 0 elsewhere

    Arguments:
        optimizer: any optimizer or chain.
        mask: "weights_only" (rank ≥ 2, no scale or bias), a function of the parameters, a tree
            of bools, or `None` for all.
        outside: what leaves where the mask is False: "zero", or "raw" for the gradient as it came,
            to be taken care of by a later part of a chain.

    Returns:
        A `Masked` record; the state holds nothing for leaves outside the mask.

    Raises:
        ValueError: an unknown `outside`.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = masked(sgd(0.5), {"w": True, "b": False})
        >>> params = {"w": jnp.array(1.0), "b": jnp.array(1.0)}
        >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
        >>> print(updates["w"], updates["b"])
        -0.5 0.0

    Source: Yosinski et al. 2014.

    Elsewhere: `optax.masked` passes the raw gradient outside the mask, which a training loop then
    *adds* to the parameters.
    """
    return Masked(
        optimizer=as_transform(optimizer),
        mask=as_mask(mask),
        outside=check_choice("masked(outside)", outside, ("zero", "raw")),
    )

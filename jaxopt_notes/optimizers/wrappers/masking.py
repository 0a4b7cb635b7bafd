"""Optimizers for some of the leaves: the others hold no state and do not move."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, is_none
from jaxopt_notes.masks import as_mask, weights_only
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.record import check_choice, record, static


class MaskedState(NamedTuple):
    """The wrapped optimizer's state; it has no leaves where the mask is False."""

    inner: Any


@record
class Masked:
    """See `masked`."""

    optimizer: Any
    mask: Any = static()
    outside: str = static()

    @property
    def gated(self) -> bool:
        return getattr(self.optimizer, "gated", False)

    def init(self, params: Tree) -> MaskedState:
        return MaskedState(self.optimizer.init(_select(params, self._mask(params))))

    def update(
        self, updates: Tree, state: MaskedState, params: Tree = None, **extra: Any
    ) -> tuple[Tree, MaskedState]:
        mask = self._mask(updates if params is None else params)
        chosen = None if params is None else _select(params, mask)
        accept = extra.get("accept")
        inside, inner = self.optimizer.update(_select(updates, mask), state.inner, chosen, **extra)

        def merge(keep: bool, raw: Any, new: Any) -> Any:
            if keep or raw is None:
                return new
            if self.outside == "raw":
                return raw if accept is None else jnp.where(accept, raw, jnp.zeros_like(raw))
            return jnp.zeros_like(raw)

        return jax.tree.map(merge, mask, updates, inside, is_leaf=is_none), MaskedState(inner)

    def evaluation_params(self, params: Tree, state: MaskedState) -> Tree:
        mask = self._mask(params)
        inside = evaluation_params(self.optimizer, _select(params, mask), state.inner)
        return jax.tree.map(
            lambda keep, old, new: new if keep else old, mask, params, inside, is_leaf=is_none
        )

    def _mask(self, tree: Tree) -> Tree:
        return jax.tree.map(lambda _: True, tree) if self.mask is None else self.mask(tree)


def _select(tree: Tree, mask: Tree) -> Tree:
    return jax.tree.map(lambda keep, leaf: leaf if keep else None, mask, tree, is_leaf=is_none)


def masked(optimizer: Any, mask: Any = weights_only, *, outside: str = "zero") -> Masked:
    """Apply an optimizer to the leaves that a mask selects, and leave the others where they are.

        u ← optimizer(g) where the mask is True, 0 elsewhere

    Arguments:
        optimizer: any optimizer or chain.
        mask: `weights_only` (rank ≥ 2, no normalization scale), a function of the parameters, a tree
            of bools, or `None` for all.
        outside: what leaves where the mask is False: "zero", or "raw" for the gradient as it came,
            to be taken care of by a later part of a chain.

    Returns:
        A `Masked` record; the state holds nothing for leaves outside the mask.

    Raises:
        ValueError: another word for `outside`.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = masked(sgd(0.5), {"w": True, "b": False})
        >>> params = {"w": jnp.array(1.0), "b": jnp.array(1.0)}
        >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
        >>> print(updates["w"], updates["b"])
        -0.5 0.0

    Source: row S1-79 (freezing) and S4-37 of the notes.

    Elsewhere: `optax.masked` passes the raw gradient outside the mask, which a training loop then
    *adds* to the parameters.
    """
    return Masked(
        as_transform(optimizer), as_mask(mask), check_choice("masked(outside)", outside, ("zero", "raw"))
    )

"""Masks: which leaves of a tree are meant, chosen by their paths, their values or a tree of bools."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree

__all__ = ["weights_only", "where_path"]

Mask = Callable[[Tree], Tree]


def path_name(path: tuple) -> str:
    """The path of a leaf as one string: `layers_0/kernel`.

    Example:
        >>> [path_name(path) for path, _ in jax.tree.leaves_with_path({"dense": {"kernel": 1.0}})]
        ['dense/kernel']
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def weights_only(params: Tree) -> Tree:
    """Mask of what is usually decayed: True for leaves of rank ≥ 2 that are no normalization `scale`.

    Source: rows S4-37 and S3-33 of the notes; biases and normalization parameters are left alone.

    Example:
        >>> weights_only({"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)})
        {'bias': False, 'kernel': True}
    """
    return where_path(lambda name, leaf: jnp.ndim(leaf) >= 2 and name.split("/")[-1] != "scale")(params)


def where_path(predicate: Callable[[str, Any], bool]) -> Mask:
    """A mask from a predicate on each leaf's path and value.

    Arguments:
        predicate: called with the path ("layers_0/kernel") and the leaf; returns a bool.

    Example:
        >>> where_path(lambda name, leaf: name.endswith("bias"))({"kernel": 1.0, "bias": 2.0})
        {'bias': True, 'kernel': False}
    """
    return _PathMask(predicate)


@dataclasses.dataclass(frozen=True)
class _PathMask:
    """A predicate on paths as a mask: equal when the predicate is, so it is structure of a record."""

    predicate: Callable[[str, Any], bool]

    def __call__(self, params: Tree) -> Tree:
        return jax.tree.map_with_path(lambda path, leaf: bool(self.predicate(path_name(path), leaf)), params)


class _TreeMask:
    """A tree of bools as a function: hashable and comparable, hence structure of a record."""

    def __init__(self, tree: Tree):
        leaves, self.treedef = jax.tree.flatten(tree)
        self.leaves = tuple(bool(leaf) for leaf in leaves)

    def __call__(self, params: Tree) -> Tree:
        return jax.tree.unflatten(self.treedef, self.leaves)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TreeMask) and (self.treedef, self.leaves) == (other.treedef, other.leaves)

    def __hash__(self) -> int:
        return hash((self.treedef, self.leaves))

    def __repr__(self) -> str:
        return repr(self(None))


def as_mask(mask: Any) -> Any:
    """A mask as a static field: `None` (all leaves), a function of the parameters, or a tree of bools."""
    return mask if mask is None or callable(mask) else _TreeMask(mask)

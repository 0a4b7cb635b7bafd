"""Masks and labels: what is said of each leaf of a tree of parameters.

    adamw(1e-3, mask=weights_only)                           # the default: no biases, no scales
    adamw(1e-3, mask=where_path(lambda path, leaf: path.endswith("kernel")))

A mask says which leaves are meant, by True and False; labels sort the leaves into groups. Both are given in
the same ways, those of optax: a function of the parameters, or a tree like the parameters in which one mark
may stand for a whole subtree. A tree that can be called (an Equinox module) is read as a tree where its
structure is that of the parameters. Masks in common use can also be given by name.

`as_mask` makes a mask fit to be structure of a record (hashable, compared by `==`); `read_mask` is the only
reader. Labels are read by `Marks.of`, as one mask for each label.
"""

import operator
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree, is_none
from jaxopt_notes.record import check_choice

__all__ = ["weights_only", "where_path"]

Mask = Callable[[Tree], Tree]
# A name in `MASKS`, a function of the parameters, a tree of bools, or `None` for all leaves.
MaskLike = str | Mask | Tree | None


def path_name(path: tuple) -> str:
    """The path of a leaf as one string: `layers_0/kernel`.

    Example:
        >>> [path_name(path) for path, _ in jax.tree.leaves_with_path({"dense": {"kernel": 1.0}})]
        ['dense/kernel']
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def weights_only(params: Tree) -> Tree:
    """Mask of what is usually decayed: True for leaves of rank ≥ 2 that are no `scale` and no `bias`.

    Biases and normalization parameters are left alone, also where many stand stacked (`repeat`).

    Example:
        >>> weights_only({"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)})
        {'bias': False, 'kernel': True}
    """

    def is_weight(name: str, leaf: Any) -> bool:
        return jnp.ndim(leaf) >= 2 and name.split("/")[-1] not in ("scale", "bias")

    return where_path(is_weight)(params)


def matrices(params: Tree) -> Tree:
    """Mask of the leaves of rank 2.

    Example:
        >>> matrices({"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)})
        {'bias': False, 'kernel': True}
    """
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) == 2, params)


# Names stand for the functions in defaults: `optax.inject_hyperparams` takes any function for a schedule.
MASKS: dict[str, Mask] = {"weights_only": weights_only, "matrices": matrices}


def where_path(predicate: Callable[[str, Any], bool]) -> Mask:
    """A mask from a predicate on each leaf's path and value.

    Arguments:
        predicate: called with the path ("layers_0/kernel") and the leaf; returns a bool.

    Example:
        >>> where_path(lambda name, leaf: name.endswith("bias"))({"kernel": 1.0, "bias": 2.0})
        {'bias': True, 'kernel': False}
    """
    return Marks(predicate, "path and leaf")


def as_mask(mask: MaskLike) -> Mask | None:
    """A mask as a static field: `None` (all leaves) or a function of the parameters, for `read_mask`.

    Arguments:
        mask: `None`, a function of the parameters, a tree of bools, or a name in `MASKS`.

    Raises:
        ValueError: an unknown name. TypeError: a leaf of the tree is not a bool.
    """
    if isinstance(mask, str):
        return MASKS[check_choice("mask", mask, tuple(MASKS))]
    return mask if mask is None or _is_function(mask, _is_mark) else Marks(_checked(mask), "tree")


def read_mask(mask: Mask | None, params: Tree) -> Tree:
    """A tree of bools of the structure of the parameters, from what `as_mask` returned.

    Raises:
        ValueError: the mask has another structure than the parameters. TypeError: what it says of a leaf is
            no bool. Both name the path.

    Example:
        >>> read_mask(as_mask({"dense": True, "bias": False}), {"dense": {"kernel": 1.0}, "bias": 2.0})
        {'bias': False, 'dense': {'kernel': True}}
    """
    if mask is None:
        return jax.tree.map(lambda _: True, params)
    return mask(params) if isinstance(mask, Marks) else _spread(_checked(mask(params)), params, "mask")


class Marks:
    """A mark for each leaf of the parameters: True or False in a mask, a word among labels.

    A function of the parameters, equal to another one that is made of the same parts: so it can be structure
    of a record.

    Arguments:
        source: where the marks come from.
        kind: what the source is: a "tree" of marks, a function of the "parameters", or one that is called
            for each leaf, with its "path" or its "path and leaf"; "others": a mask, of which this is the
            opposite.
        selected: (label, known labels) for the mask of the leaves that have this label.
    """

    def __init__(self, source: Any, kind: str, selected: tuple[Hashable, tuple] | None = None):
        self.source, self.kind, self.selected = source, kind, selected
        parts: Any = source
        if kind == "tree":
            leaves, treedef = jax.tree.flatten(source, is_leaf=is_none)
            parts = (tuple(leaves), treedef)
        self._parts = (kind, parts, selected)

    @classmethod
    def of(cls, label: Hashable, labels: Callable[[Tree], Tree] | Tree, known: tuple) -> "Marks":
        """The mask of the leaves to which labels, a tree or a function, give this one of the known labels."""
        if isinstance(labels, Marks):
            return cls(labels.source, labels.kind, (label, known))
        return cls(labels, "parameters" if _is_function(labels, _is_label) else "tree", (label, known))

    def __call__(self, params: Tree) -> Tree:
        marks = self._found(params)
        if self.selected is None:
            return marks
        label, known = self.selected
        marks = _spread(marks, params, self._name)
        for path, found in jax.tree.leaves_with_path(marks):
            if not _is_label(found) or found not in known:
                raise ValueError(
                    f"partition(labels) is {found!r}{_at(path_name(path))}, expected one of "
                    f"{', '.join(map(repr, known))}: give partition(transforms) an optimizer for it."
                )
        return jax.tree.map(lambda found: found == label, marks)

    @property
    def _name(self) -> str:
        return "mask" if self.selected is None else "partition(labels)"

    def _found(self, params: Tree) -> Tree:
        source = self.source
        match self.kind:
            case "parameters":
                return source(params)
            case "path":
                return jax.tree.map_with_path(lambda path, _: source(path_name(path)), params)
            case "path and leaf":
                return jax.tree.map_with_path(lambda path, x: bool(source(path_name(path), x)), params)
            case "others":
                return jax.tree.map(operator.not_, read_mask(source, params))
        try:
            return _spread(source, params, self._name)
        except ValueError:
            if not callable(source):
                raise
        return read_mask(source, params) if self.selected is None else source(params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Marks) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    def __reduce__(self) -> tuple:
        return Marks, (self.source, self.kind, self.selected)

    def __repr__(self) -> str:
        return repr(self.source) if self.selected is None else f"label {self.selected[0]!r}"


def _is_function(marks: Any, is_mark: Callable[[Any], bool]) -> bool:
    """Whether this is to be called: a function, not a tree of marks that happens to be callable."""
    leaves = jax.tree.leaves(marks)
    is_tree = not jax.tree_util.all_leaves([marks]) and leaves and all(map(is_mark, leaves))
    return callable(marks) and not is_tree


def _is_bool(mark: Any) -> bool:
    """Whether a leaf of a mask is True or False, known now."""
    if isinstance(mark, np.ndarray | jax.Array) and not isinstance(mark, jax.core.Tracer):
        return mark.ndim == 0 and mark.dtype == np.bool_
    return isinstance(mark, bool | np.bool_)


def _is_mark(mark: Any) -> bool:
    """Whether a leaf of a mask says True or False: 1 and 0 will do."""
    return _is_bool(mark) or (isinstance(mark, int | np.integer) and mark in (0, 1))


def _is_label(mark: Any) -> bool:
    return isinstance(mark, Hashable) and not callable(mark)


def _checked(mask: Tree) -> Tree:
    """The tree with Python's bools for leaves."""
    if all(type(mark) is bool for mark in jax.tree.leaves(mask)):
        return jax.tree.map(lambda mark: mark, mask)  # a copy: the owner may change theirs

    def one(path: tuple, mark: Any) -> bool:
        if not _is_mark(mark):
            raise TypeError(f"mask is {mark!r}{_at(path_name(path))}, expected True or False, known now.")
        return bool(mark)

    return jax.tree.map_with_path(one, mask)


def _spread(marks: Tree, params: Tree, name: str) -> Tree:
    """The marks as a tree of the structure of the parameters: one of a subtree for each of its leaves."""
    treedef: PyTreeDef
    leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
    if not leaves:
        return params  # nothing to be marked; a placeholder for the parameters has no leaves either
    if jax.tree.structure(marks, is_leaf=is_none) == treedef:
        found = jax.tree.leaves(marks, is_leaf=is_none)
    else:
        found = _marks_below(marks, params, name, "")
    found = [None if leaf is None else mark for leaf, mark in zip(leaves, found, strict=True)]
    missing = [i for i, mark in enumerate(found) if mark is None and leaves[i] is not None]
    if missing:
        path, _ = jax.tree.leaves_with_path(params, is_leaf=is_none)[missing[0]]
        raise ValueError(f"{name} is None{_at(path_name(path))}, expected a mark for the leaf of that path.")
    return jax.tree.unflatten(treedef, found)


def _marks_below(marks: Tree, params: Tree, name: str, path: str) -> list:
    """A mark for each leaf of the parameters, `None` where they are."""
    here, below = _children(marks), _children(params)
    if here is None:
        return [None if leaf is None else marks for leaf in jax.tree.leaves(params, is_leaf=is_none)]
    if params is None:
        return [None]
    if below is None:
        raise ValueError(
            f"{name} has {_listed(here)}{_at(path)}, where the parameters have a leaf: expected one mark."
        )
    if set(here) != set(below):
        raise ValueError(
            f"{name} has {_listed(here)}{_at(path)}, expected {_listed(below)} as in the parameters, or one "
            "mark for all of them."
        )
    found = []
    for key, part in below.items():
        found += _marks_below(here[key], part, name, f"{path}/{key}" if path else key)
    return found


def _children(node: Tree) -> dict[str, Any] | None:
    """The parts of a container by name, whatever kind it is of; `None` for a leaf."""
    if node is None or jax.tree_util.all_leaves([node]):
        return None
    parts = jax.tree.leaves_with_path(node, is_leaf=lambda part: part is not node)
    return {path_name(path): part for path, part in parts}


def _listed(parts: dict[str, Any]) -> str:
    return ", ".join(map(repr, parts)) or "nothing"


def _at(path: str) -> str:
    return f" at {path!r}" if path else ""

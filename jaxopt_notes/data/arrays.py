"""What a data set is made of: arrays of numbers. Lists and data frames are refused with what makes arrays."""

from typing import Any

import jax
import numpy as np

from jaxopt_notes.data.selected import is_selected
from jaxopt_notes.dtypes import Tree

PARTS = ("x", "y", "weights")


def check_data(where: str, data: Any) -> None:
    """Refuse (x, y), or (x, y, weights), with something in it that is no array of numbers.

    Raises:
        TypeError: naming the part, what it is, and what makes an array of it.

    Example:
        >>> check_data("fit(train_data)", ([[1.0, 2.0]], np.array([0])))
        Traceback (most recent call last):
        TypeError: fit(train_data) has a list as x, expected an array of numbers: np.asarray(x, np.float32).
    """
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        for name, part in zip(PARTS, data, strict=False):
            check_arrays(f"{where} has", part, f" as {name}", name)


def check_set(where: str, data: Any) -> None:
    """Refuse what is not (x, y), or (x, y, weights), of arrays of numbers.

    Raises:
        TypeError: naming what it is, or the part that is no array.

    Example:
        >>> check_set("smote(data)", np.ones(3))
        Traceback (most recent call last):
        TypeError: smote(data) is a ndarray of shape (3,), expected (x, y), or (x, y, weights).
    """
    if not (isinstance(data, tuple | list) and len(data) in (2, 3)):
        size = f" of {len(data)}" if isinstance(data, tuple | list) else ""
        size = f" of shape {data.shape}" if hasattr(data, "shape") else size
        raise TypeError(f"{where} is a {type(data).__name__}{size}, expected (x, y), or (x, y, weights).")
    check_data(where, data)


def check_arrays(where: str, part: Tree, place: str = "", name: str = "x") -> None:
    """Refuse a tree with a leaf that is no array of numbers; `where` ends in a verb.

    Raises:
        TypeError: see `check_data`.
    """
    for leaf in jax.tree.leaves(part, is_leaf=is_selected):
        if is_selected(leaf) or isinstance(leaf, jax.ShapeDtypeStruct) or _is_array(leaf):
            continue
        remedy = "np.asarray(y)" if name == "y" else f"np.asarray({name}, np.float32)"
        if np.asarray(leaf).dtype.kind in "OSUMm":
            remedy += ", once texts and dates are numbers: np.unique(…, return_inverse=True) numbers names"
        found = part if isinstance(leaf, int | float | complex | str) else leaf
        kind = (
            f"an array of dtype {leaf.dtype}" if isinstance(leaf, np.ndarray) else f"a {type(found).__name__}"
        )
        raise TypeError(f"{where} {kind}{place}, expected an array of numbers: {remedy}.")


def _is_array(leaf: Any) -> bool:
    if isinstance(leaf, bool | int | float | complex | str):
        return False
    try:
        jax.typeof(leaf)
    except TypeError:
        return False
    return True

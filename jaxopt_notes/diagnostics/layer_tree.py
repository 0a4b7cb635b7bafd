"""A tree of parameters (or of gradients, or updates) as its layers, in the order in which data pass them."""

import re
from typing import Any

import jax

from jaxopt_notes.dtypes import Tree, is_float
from jaxopt_notes.masks import path_name

__all__ = ["layers_of"]


def layers_of(tree: Tree) -> dict[str, dict[str, Any]]:
    """The floating-point leaves of a tree, grouped by the layer that holds them.

        {"layers_0": {"bias": …, "kernel": …}, "layers_2": …, "layers_10": …}

    Arguments:
        tree: parameters, or a tree like them. What is `None` or no floating point is left out.

    Returns:
        {path of the layer: {name: leaf}}. Numbers in paths count as numbers: layers_10 comes after layers_2,
        where a sorted dict has it before (and JAX sorts those that leave `jit`). A leaf at the top stands
        under its own name.

    Example:
        >>> import jax.numpy as jnp
        >>> tree = {f"layers_{i}": {"kernel": jnp.ones(1)} for i in (10, 0, 2)}
        >>> list(layers_of(tree))
        ['layers_0', 'layers_2', 'layers_10']
    """
    found: dict[str, dict[str, Any]] = {}
    for path, leaf in jax.tree.leaves_with_path(tree):
        if is_float(leaf):
            layer, _, name = path_name(path).rpartition("/")
            found.setdefault(layer or name, {})[name] = leaf
    return dict(sorted(found.items(), key=lambda item: in_order(item[0])))


def in_order(path: str) -> list[tuple[int, int | str]]:
    """A path as what sorts it: its numbers as numbers, before its words.

    Example:
        >>> sorted(["layers_10", "layers_9", "in"], key=in_order)
        ['in', 'layers_9', 'layers_10']
    """
    parts = [part for part in re.split(r"(\d+)", path) if part]
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]

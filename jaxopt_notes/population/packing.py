"""The leaves of a pytree as numbered plain arrays, for a file whose reader knows the structure.

Arrays of JAX and NumPy keep their dtypes, float64 without x64 included; typed keys keep their generator;
Python's numbers stay Python's numbers, so that a strategy's counters are still static when it goes on.
"""

import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.serialization.leaf import decode, encode


def pack(tree: Tree) -> dict[str, np.ndarray]:
    """The leaves of a tree, numbered, and what kind each is.

    Raises:
        TypeError: a leaf is not an array; the message has its path.

    Example:
        >>> arrays = pack({"asked": 3, "key": jax.random.key(0), "scores": jax.numpy.ones(2)})
        >>> unpack(arrays)[0], unpack(arrays)[2]
        (3, Array([1., 1.], dtype=float32))
    """
    leaves = jax.tree.leaves_with_path(tree)
    encoded = [encode(path_name(path), leaf) for path, leaf in leaves]
    arrays = {f"{i:05d}": array for i, (array, _) in enumerate(encoded)}
    return {**arrays, "kinds": np.asarray(json.dumps([kind for _, kind in encoded]))}


def unpack(arrays: Mapping[str, np.ndarray]) -> list[Any]:
    """The leaves that `pack` was given."""
    kinds = json.loads(str(arrays["kinds"]))
    names = [f"{i:05d}" for i in range(len(kinds))]
    return [decode(name, arrays[name], kind) for name, kind in zip(names, kinds, strict=True)]

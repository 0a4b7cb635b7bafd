"""Leaves of a pytree as plain arrays for a file, and back as what they were.

NumPy and JAX arrays keep their dtypes, float64 without x64 included; typed keys keep their generator;
Python's numbers stay Python's numbers, so that a strategy's counters are still static when it goes on.
"""

import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population.chunk_program import is_key

_NUMBERS = {"bool": bool, "int": int, "float": float}


def pack(tree: Tree) -> dict[str, np.ndarray]:
    """The leaves of a tree, numbered, and what kind each is.

    Example:
        >>> arrays = pack({"asked": 3, "key": jax.random.key(0), "scores": jnp.ones(2)})
        >>> unpack(arrays)[0], unpack(arrays)[2]
        (3, Array([1., 1.], dtype=float32))
    """
    leaves = jax.tree.leaves(tree)
    arrays = {
        f"{i:05d}": np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
        for i, leaf in enumerate(leaves)
    }
    return {**arrays, "kinds": np.asarray(json.dumps([_kind(leaf) for leaf in leaves]))}


def unpack(arrays: Mapping[str, np.ndarray]) -> list:
    """The leaves that `pack` stored."""
    kinds = json.loads(str(arrays["kinds"]))
    return [_restore(kind, arrays[f"{i:05d}"]) for i, kind in enumerate(kinds)]


def _kind(leaf: Any) -> str:
    if is_key(leaf):
        return f"key {jax.random.key_impl(leaf)}"
    return "jax" if isinstance(leaf, jax.Array) else type(leaf).__name__


def _restore(kind: str, array: np.ndarray) -> Any:
    if kind.startswith("key "):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=kind.removeprefix("key "))
    if kind == "jax":
        with jax.enable_x64(True):  # else float64 would become float32
            return jnp.asarray(array)
    return _NUMBERS[kind](array) if kind in _NUMBERS else array

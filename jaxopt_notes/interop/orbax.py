"""Checkpoints of orbax: a folder, each array written in the background by the processes that hold it.

`training.save` gathers a tree into one file; that is simple, and too slow for models of many gigabytes on
many devices. `save_orbax` and `load_orbax` are a thin layer over `orbax.checkpoint.StandardCheckpointer`,
imported when they are called, and other users of orbax can read what is written. What the layer adds: paths
in errors, and no number changed on the way. Orbax itself casts to the dtype that is asked for (1e30 becomes
inf in float16, and −2³¹ in int32) and restores another generator's keys of the same size.
"""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.serialization.leaf import NUMBERS, is_key


def save_orbax(path: str | os.PathLike, tree: Tree, *, wait: bool = True) -> Callable[[], None]:
    """Write a pytree as an orbax checkpoint.

    Arguments:
        path: the folder, which must not exist yet: one for each step. Its parents are made.
        tree: JAX arrays, sharded or not, NumPy arrays, typed keys and numbers; no arrays without elements.
        wait: return when everything is written, or as soon as the arrays may be changed or donated.

    Returns:
        A function that waits until the checkpoint is there, and raises what went wrong. Without `wait` it
        must be called.

    Raises:
        FileExistsError: the folder exists. TypeError: a leaf is not an array.
        ValueError: one has no elements.
        ImportError: orbax-checkpoint is missing.

    Example:
        >>> finish = save_orbax("runs/step_100", state, wait=False)  # doctest: +SKIP
        >>> state = train(state)  # doctest: +SKIP
        >>> finish()  # doctest: +SKIP
    """
    import orbax.checkpoint as ocp

    if os.path.lexists(path):
        raise FileExistsError(f"{str(path)!r} exists, expected a new folder: name one for each step.")
    storable = jax.tree.map_with_path(_storable, tree)
    checkpointer = ocp.StandardCheckpointer()

    def finish() -> None:
        try:
            checkpointer.wait_until_finished()
        finally:
            checkpointer.close()

    try:
        checkpointer.save(_absolute(path), storable)
    except BaseException:
        checkpointer.close()
        raise
    if wait:
        finish()
    return finish


def load_orbax(path: str | os.PathLike, like: Tree) -> Tree:
    """Read a pytree from an orbax checkpoint.

    Arguments:
        path: the folder.
        like: a tree of the structure, shapes and dtypes that are expected. Arrays (and shapes) with a
            sharding say where theirs goes; shapes without one go where the array was when it was saved.

    Returns:
        A tree like `like`, with the values of the checkpoint exactly.

    Raises:
        FileNotFoundError: there is no such folder. ValueError: a leaf is missing or left over, or its shape,
            dtype or generator differs; the message names the paths. ImportError: orbax-checkpoint is missing.

    Example:
        >>> mesh = jax.sharding.Mesh(jax.devices(), ("data",))  # doctest: +SKIP
        >>> sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))  # doctest: +SKIP
        >>> load_orbax("runs/step_100", {"w": jax.ShapeDtypeStruct((8,), "float32", sharding=sharding)})
        ... # doctest: +SKIP
    """
    import orbax.checkpoint as ocp

    if not os.path.lexists(path) and "://" not in str(path):
        raise FileNotFoundError(f"{str(path)!r} does not exist, expected the folder of an orbax checkpoint.")
    with ocp.StandardCheckpointer() as checkpointer:
        metadata = checkpointer.metadata(_absolute(path)).item_metadata
        if metadata is None:
            raise ValueError(f"{str(path)!r} is no orbax checkpoint that `save_orbax` could have written.")
        stored, wanted = _by_name(metadata.tree), _by_name(like)
        missing, extra = sorted(wanted.keys() - stored.keys()), sorted(stored.keys() - wanted.keys())
        if missing or extra:
            raise ValueError(
                f"{path} has another structure than `like`: missing {missing or 'nothing'}, "
                f"left over {extra or 'nothing'}."
            )
        for name, leaf in wanted.items():
            _check(
                path, name, f"{np.dtype(stored[name].dtype)}{list(stored[name].shape)}", _stored_type(leaf)
            )
        restored = checkpointer.restore(_absolute(path), jax.tree.map(_target, like))
    for (name, leaf), found in zip(wanted.items(), jax.tree.leaves(restored), strict=True):
        _check(path, name, _type(found), _type(leaf))  # a generator, or 64 bits without x64
    return jax.tree.map(
        lambda leaf, found: found[()] if isinstance(leaf, np.generic | complex) else found, like, restored
    )


def _absolute(path: Any) -> str | os.PathLike:
    return path if "://" in str(path) else pathlib.Path(path).absolute()


def _by_name(tree: Tree) -> dict[str, Any]:
    return {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def _storable(path: tuple, leaf: Any) -> Any:
    import tensorstore

    name = path_name(path)
    if not isinstance(leaf, (jax.Array, np.ndarray, np.generic, *NUMBERS.values())):
        raise TypeError(f"leaf {name} is {leaf!r}, expected an array or a number.")
    if 0 in getattr(leaf, "shape", ()):
        raise ValueError(
            f"leaf {name} is {_type(leaf)}, without elements, which orbax cannot store: leave it out, or use "
            "`training.save`."
        )
    try:
        tensorstore.dtype("uint32" if is_key(leaf) else str(_dtype(leaf)))
    except (TypeError, ValueError):
        raise TypeError(
            f"leaf {name} is {_type(leaf)}, a dtype that orbax cannot store: use another, or `training.save`."
        ) from None
    return _plain(leaf)


def _target(leaf: Any) -> Any:
    """What orbax is to restore in the place of a leaf."""
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
    return _plain(leaf)


def _plain(leaf: Any) -> ArrayLike:
    """A leaf that orbax takes: it refuses NumPy's scalars and complex numbers."""
    return np.asarray(leaf) if isinstance(leaf, np.generic | complex) else leaf


def _dtype(leaf: Any) -> np.dtype:
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype


def _type(leaf: Any) -> str:
    return f"{_dtype(leaf)}{list(getattr(leaf, 'shape', ()))}"


def _stored_type(leaf: Any) -> str:
    return _type(jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf)


def _check(path: Any, name: str, found: str, expected: str) -> None:
    if found != expected:
        raise ValueError(
            f"{path}: {name} is {found}, expected {expected}. Pass as `like` a tree made as the saved one "
            "was (64-bit arrays need jax_enable_x64)."
        )

"""Checkpoints: any pytree of arrays in one file, written whole or not at all.

`save` writes the leaves of a tree to an .npz file under their paths ("params/layers_0/kernel"), and
`load` puts them back into a tree of the same structure: a `TrainState`, a population of them, an
optimizer with its hyperparameters. Random keys and extension dtypes (bfloat16) are kept. The file is
written beside its target and then renamed, so a run killed while writing leaves the old checkpoint.

`save_params` and `load_params` exchange parameters alone, nested dicts of arrays, with other
programs: as safetensors or npz, by the suffix of the path.
"""

import contextlib
import json
import os
import pathlib
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.record import check_choice

_KINDS = "__kinds__"  # JSON: path -> what NumPy's format cannot say (a key's implementation, bfloat16)
_REMEDY = "Pass as `like` a tree made as the saved one was."


def save(path: Any, tree: Tree) -> None:
    """Write a pytree of arrays to an .npz file, atomically.

    Arguments:
        path: the file; its folder must exist. An existing file is replaced.
        tree: arrays, NumPy arrays, numbers and typed random keys; `None` leaves hold nothing.

    Raises:
        TypeError: a leaf is no array. ValueError: two leaves have the same path.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder + "/run.npz", {"w": jnp.ones(2), "key": jax.random.key(0)})
        ...     load(folder + "/run.npz", like={"w": jnp.zeros(2), "key": jax.random.key(1)})["w"]
        Array([1., 1.], dtype=float32)

    Elsewhere: orbax writes a folder, sharded and asynchronously; take it for large models.
    """
    arrays: dict[str, np.ndarray] = {}
    kinds: dict[str, str] = {}
    for name, leaf in _by_name(tree).items():
        arrays[name], kind = _encode(name, leaf)
        kinds |= {name: kind} if kind else {}
    # Not np.savez: a leaf named "file" would clash with its argument.
    with _replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in {**arrays, _KINDS: np.asarray(json.dumps(kinds))}.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def load(path: Any, like: Tree) -> Tree:
    """Read a pytree that `save` wrote.

    Arguments:
        path: the file.
        like: a tree of the structure, shapes and dtypes that are expected: a fresh state, or
            `jax.eval_shape(trainer.init, key, data)`, which computes nothing.

    Returns:
        A tree like `like` with the values of the file.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it is no checkpoint, a leaf is missing
            or left over, or a shape or dtype differs; the message names the paths.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder + "/run.npz", {"w": jnp.ones(2)})
        ...     load(folder + "/run.npz", like={"v": jnp.zeros(2)})
        Traceback (most recent call last):
        ValueError: …/run.npz has another structure than `like`: missing ['v'], left over ['w']. …
    """
    return _fill(path, like, _read_npz(path))


def save_params(path: Any, params: Tree) -> None:
    """Write parameters for other programs: `.safetensors` or `.npz`, by the suffix, atomically.

    Arguments:
        path: the file; names inside are paths, "layers_0/kernel".
        params: a nested dict of arrays.

    Raises:
        ValueError: an unknown suffix. ImportError: the package safetensors is needed and missing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_params(folder + "/params.npz", {"layers_0": {"bias": jnp.ones(2)}})
        ...     load_params(folder + "/params.npz")
        {'layers_0': {'bias': Array([1., 1.], dtype=float32)}}
    """
    if _suffix(path) == ".npz":
        save(path, params)
    else:
        from safetensors.numpy import save as serialize

        arrays = {name: np.ascontiguousarray(leaf) for name, leaf in _by_name(params).items()}
        with _replacing(path) as file:
            file.write(serialize(arrays))


def load_params(path: Any, like: Tree = None) -> Tree:
    """Read parameters from `.safetensors` or `.npz`.

    Arguments:
        path: the file.
        like: a tree with the expected structure, shapes and dtypes; without it the names are split
            at "/" into a nested dict.

    Raises:
        ValueError: an unknown suffix, or the file does not fit `like`. ImportError: the package
            safetensors is needed and missing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_params(folder + "/params.npz", {"bias": jnp.ones(2)})
        ...     load_params(folder + "/params.npz", like={"bias": jnp.zeros(2)})
        {'bias': Array([1., 1.], dtype=float32)}
    """
    if _suffix(path) == ".npz":
        stored = _read_npz(path)
    else:
        from safetensors.numpy import load_file

        stored = {name: jnp.asarray(array) for name, array in load_file(path).items()}
    if like is not None:
        return _fill(path, like, stored)
    tree: dict = {}
    for name, leaf in stored.items():
        *parents, last = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree


def _suffix(path: Any) -> str:
    return check_choice(f"suffix of {path}", pathlib.Path(path).suffix, (".safetensors", ".npz"))


def _by_name(tree: Tree) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for path, leaf in jax.tree.leaves_with_path(tree):
        name = path_name(path)
        if name in named:
            raise ValueError(f"two leaves are named {name!r}; rename a key that contains a '/'.")
        named[name] = leaf
    return named


def _encode(name: str, leaf: Any) -> tuple[np.ndarray, str]:
    """The leaf as NumPy can store it, and what is needed beside it to have it back."""
    if _is_key(leaf):
        return np.asarray(jax.random.key_data(leaf)), f"key {jax.random.key_impl(leaf)}"
    array = np.asarray(leaf)
    if array.dtype.kind == "V":  # an extension dtype: its bits as unsigned integers
        return array.view(f"u{array.dtype.itemsize}"), f"dtype {array.dtype.name}"
    if array.dtype.kind not in "biufc":
        raise TypeError(f"leaf {name} is {leaf!r}, expected an array or a number.")
    return array, ""


def _decode(array: np.ndarray, kind: str) -> jax.Array:
    what, _, name = kind.partition(" ")
    if what == "key":
        return jax.random.wrap_key_data(jnp.asarray(array), impl=name)
    return jnp.asarray(array.view(jnp.dtype(name)) if what == "dtype" else array)


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _read_npz(path: Any) -> dict[str, jax.Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise ValueError(f"{path} is no .npz file of arrays: {error}") from error
    kinds = json.loads(str(arrays.pop(_KINDS, "{}")))
    return {name: _decode(array, kinds.get(name, "")) for name, array in arrays.items()}


def _fill(path: Any, like: Tree, stored: dict[str, jax.Array]) -> Tree:
    wanted = _by_name(like)
    missing, extra = sorted(wanted.keys() - stored.keys()), sorted(stored.keys() - wanted.keys())
    if missing or extra:
        raise ValueError(
            f"{path} has another structure than `like`: missing {missing or 'nothing'}, "
            f"left over {extra or 'nothing'}. {_REMEDY}"
        )
    for name, leaf in wanted.items():
        expected, found = _type(leaf), _type(stored[name])
        if expected != found:
            raise ValueError(f"{path}: {name} is {found}, expected {expected}. {_REMEDY}")
    return jax.tree.unflatten(jax.tree.structure(like), [stored[name] for name in wanted])


def _type(leaf: Any) -> str:
    return f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}"


@contextlib.contextmanager
def _replacing(path: Any) -> Iterator[Any]:
    """A binary file beside `path` that takes its place once it is written whole."""
    path = pathlib.Path(path)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")  # tempfile's would be private to its owner
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise

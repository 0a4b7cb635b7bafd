"""Checkpoints: any pytree of arrays in one file, written whole or not at all.

`save` writes the leaves of a tree to an .npz file under their paths ("params/layers_0/kernel"), and
`load` puts them back into a tree of the same structure: a `TrainState`, a population of them, an
optimizer with its hyperparameters. Every dtype is kept, with random keys and the extension dtypes
(bfloat16, float8, int4, …), and every number: what would have to be rounded is refused. The file is
written beside its target and then renamed, so a run killed while writing leaves the old checkpoint.

`save_params` and `load_params` exchange parameters alone, nested dicts of arrays, with other
programs: as safetensors or npz, by the suffix of the path. Files are not trusted: nothing is unpickled,
and a damaged one is one error that names the leaf.
"""

import contextlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree, cast_and_fits
from jaxopt_notes.masks import path_name
from jaxopt_notes.record import check_choice
from jaxopt_notes.serialization import npz, safetensors
from jaxopt_notes.serialization.atomic import replacing
from jaxopt_notes.serialization.leaf import as_jax, decode, decoded_dtype, is_jax_dtype, is_key
from jaxopt_notes.serialization.npz import Entry

Path = str | os.PathLike
_FORMATS = {".safetensors": safetensors, ".npz": npz}
_REMEDY = "Pass as `like` a tree made as the saved one was."


def save(path: Path, tree: Tree) -> None:
    """Write a pytree of arrays to an .npz file, atomically.

    Arguments:
        path: the file; its folder is made if it does not exist. An existing file is replaced.
        tree: arrays, NumPy arrays, numbers and typed random keys; `None` leaves hold nothing.

    Raises:
        TypeError: a leaf is not an array. ValueError: two leaves have the same path.

    Example:
        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder + "/run.npz", {"w": jnp.ones(2), "key": jax.random.key(0)})
        ...     load(folder + "/run.npz", like={"w": jnp.zeros(2), "key": jax.random.key(1)})["w"]
        Array([1., 1.], dtype=float32)

    Elsewhere: orbax writes a folder, sharded and in the background, for models spread over many devices:
    `interop.save_orbax`. `numpy.savez` knows neither typed keys nor bfloat16.
    """
    leaves = _by_name(tree)
    with replacing(path) as file:
        npz.write(file, leaves)


def load(path: Path, like: Tree) -> Tree:
    """Read a pytree that `save` wrote.

    Arguments:
        path: the file.
        like: a tree of the structure, shapes and dtypes that are expected: a fresh state, or
            `jax.eval_shape(trainer.init, key, data)`, which computes nothing.

    Returns:
        A tree like `like` with the numbers of the file, exactly. JAX arrays (and shapes) of `like` come back
        as JAX arrays. So do NumPy arrays and Python's numbers, except where JAX does not hold their dtype:
        64 bits without x64 come back as NumPy's.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it is not a checkpoint, a leaf is missing
            or left over, a shape or dtype differs, or a number does not fit the dtype; the message names
            the paths.

    Example:
        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder + "/run.npz", {"w": jnp.ones(2)})
        ...     load(folder + "/run.npz", like={"v": jnp.zeros(2)})
        Traceback (most recent call last):
        ValueError: …/run.npz has another structure than `like`: missing ['v'], left over ['w']. …
    """
    with npz.reading(path) as entries:
        return _fill(path, like, entries)


def save_params(path: Path, params: Tree, metadata: Mapping[str, str] | None = None) -> None:
    """Write parameters for other programs: `.safetensors` or `.npz`, by the suffix, atomically.

    Arguments:
        path: the file; names inside are paths, "layers_0/kernel". Its folder is made if it does not exist.
        params: a nested dict of arrays. Dtypes that safetensors does not have (int4, complex128, typed keys,
            …) are written as bits, which `load_params` puts back and other programs see as integers.
        metadata: texts by name, for the header of a .safetensors file, where `load_metadata` finds them;
            programs that use torch look for {"format": "pt"}.

    Raises:
        ValueError: an unknown suffix, two leaves with the same path, or metadata for .npz. TypeError: a leaf
            is not an array, metadata that are no texts.

    Example:
        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_params(folder + "/params.npz", {"layers_0": {"bias": jnp.ones(2)}})
        ...     load_params(folder + "/params.npz")
        {'layers_0': {'bias': Array([1., 1.], dtype=float32)}}

    Elsewhere: `safetensors.numpy.save` writes bfloat16 and float8, and its `load` cannot read them.
    """
    leaves, file_format = _by_name(params), _format(path)
    if metadata is not None and file_format is not safetensors:
        raise ValueError(
            f"save_params(metadata) is {metadata!r} for {path}, expected None: .npz has no room."
        )
    with replacing(path) as file:
        file_format.write(file, leaves, *([] if metadata is None else [metadata]))


def load_metadata(path: Path) -> dict[str, str]:
    """The metadata of a .safetensors file: texts by name; no array is read.

    Arguments:
        path: the file, whoever wrote it.

    Returns:
        What `save_params` was given, or what another program wrote.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it is no .safetensors file, or was damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_params(folder + "/p.safetensors", {"bias": np.zeros(2)}, {"format": "pt"})
        ...     load_metadata(folder + "/p.safetensors")
        {'format': 'pt'}
    """
    return safetensors.read_metadata(path)


def load_params(path: Path, like: Tree = None) -> Tree:
    """Read parameters from `.safetensors` or `.npz`.

    Arguments:
        path: the file.
        like: a tree with the expected structure, shapes and dtypes; without it the names are split
            at "/" into a nested dict.

    Returns:
        The parameters with the numbers of the file, exactly, as `load` returns them.

    Raises:
        FileNotFoundError: there is no such file. ValueError: an unknown suffix, a damaged file, or one that
            does not fit `like`.

    Example:
        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_params(folder + "/params.npz", {"bias": jnp.ones(2)})
        ...     load_params(folder + "/params.npz", like={"bias": jnp.zeros(2)})
        {'bias': Array([1., 1.], dtype=float32)}
    """
    with _format(path).reading(path) as entries:
        if like is not None:
            return _fill(path, like, entries)
        tree: dict = {}
        for name, entry in entries.items():
            *parents, last = name.split("/")
            node: Any = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            if not isinstance(node, dict) or last in node:
                raise ValueError(f"{path}: {name} is both an array and a dict of arrays: pass `like`.")
            node[last] = _as_found(path, name, entry)
        return tree


def _format(path: Path) -> Any:
    return _FORMATS[check_choice(f"suffix of {path}", pathlib.Path(path).suffix, tuple(_FORMATS))]


def _by_name(tree: Tree) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for path, leaf in jax.tree.leaves_with_path(tree):
        name = path_name(path)
        if name in named:
            raise ValueError(f"two leaves are named {name!r}; rename a key that contains a '/'.")
        named[name] = leaf
    return named


def _fill(path: Path, like: Tree, entries: dict[str, Entry]) -> Tree:
    """`like` with the values of a file; everything is compared before an array is read."""
    wanted = _by_name(like)
    missing, extra = sorted(wanted.keys() - entries.keys()), sorted(entries.keys() - wanted.keys())
    if missing or extra:
        raise ValueError(
            f"{path} has another structure than `like`: missing {missing or 'nothing'}, "
            f"left over {extra or 'nothing'}. {_REMEDY}"
        )
    for name, leaf in wanted.items():
        with _in_file(path):
            expected, found = _type(leaf), _stored_type(name, entries[name])
        if expected != found:
            raise ValueError(f"{path}: {name} is {found}, expected {expected}. {_REMEDY}")
    with _in_file(path):
        leaves = [_restore(name, entries[name], leaf) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


@contextlib.contextmanager
def _in_file(path: Path) -> Any:
    """Name the file in errors of the encoding, which name the leaf."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _type(leaf: Any) -> str:
    """Dtype and shape in words; a dtype as JAX holds it, so that Python's 3 and int32 are the same."""
    dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
    return f"{dtype if is_key(leaf) else _narrow(dtype)}{list(np.shape(leaf))}"


def _narrow(dtype: np.dtype) -> np.dtype:
    """The dtype that JAX, with the present setting of x64, has in place of this one."""
    try:
        return jax.dtypes.canonicalize_dtype(dtype.newbyteorder("="))
    except TypeError:  # float128
        return dtype


def _stored_type(name: str, entry: Entry) -> str:
    if entry.kind.startswith("key "):  # known by what its words make
        words = jax.ShapeDtypeStruct(entry.shape, entry.dtype)
        keys = jax.eval_shape(lambda words: decode(name, words, entry.kind), words)
        return _type(keys)
    return f"{_narrow(decoded_dtype(name, entry.dtype, entry.kind))}{list(entry.shape)}"


def _as_found(path: Path, name: str, entry: Entry) -> Any:
    """The leaf of a file without one to compare it with."""
    with _in_file(path):
        if entry.kind.startswith("key "):
            return decode(name, entry.read(), entry.kind)
        array = entry.read().view(decoded_dtype(name, entry.dtype, entry.kind))
        return as_jax(name, array) if is_jax_dtype(array.dtype) else array[()]


def _restore(name: str, entry: Entry, leaf: Any) -> Any:
    """The leaf of a file in place of one of the same type."""
    if entry.kind.startswith("key "):
        return decode(name, entry.read(), entry.kind)
    array = entry.read().view(decoded_dtype(name, entry.dtype, entry.kind))
    if hasattr(leaf, "dtype"):
        array = _exactly(name, array, leaf.dtype, entry.kind)
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct) or is_jax_dtype(array.dtype):
        return as_jax(name, array)
    return array[()]


def _exactly(name: str, array: np.ndarray, dtype: np.dtype, kind: str) -> np.ndarray:
    """The array in another dtype, if that holds every number of it.

    A float of Python means the nearest float32, as everywhere in JAX; in files of earlier versions, which do
    not tell it from NumPy's, so does every float64 without axes.
    """
    if array.dtype == dtype:
        return array
    of_python = kind in ("float", "complex") or (kind == "" and array.ndim == 0 and dtype.kind in "fc")
    cast, fits = cast_and_fits(array, dtype, rounded=of_python)
    if not fits.all():
        raise ValueError(
            f"{name} holds {array[~fits].flat[0]}, which {dtype} does not hold: switch x64 on "
            f"(jax_enable_x64), or pass NumPy arrays of {array.dtype} in `like`."
        )
    return cast

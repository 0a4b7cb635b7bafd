"""What a run is a function of, as short texts that can be compared: code, data, functions, numbers.

A run that goes on in another process must be the same run. Arrays are known by a hash of their bytes,
functions by a hash of their code and of what they close over, the library by a hash of its sources.
"""

import functools
import hashlib
import importlib
import pathlib
import platform
import re
import types
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population.chunk_program import as_numpy


@functools.cache
def library() -> dict[str, str]:
    """The versions that numbers depend on, this library's sources included."""
    digest = hashlib.sha256()
    root = pathlib.Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(("plots/", "interop/", "cli.py")):  # on these no number depends
            digest.update(name.encode() + path.read_bytes())
    return {
        "jaxopt_notes": importlib.import_module(root.name).__version__,
        "sources": digest.hexdigest()[:12],
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def of_tree(tree: Tree) -> str:
    """A pytree by its structure and the bytes of its arrays.

    Example:
        >>> of_tree({"a": np.ones(2)}) == of_tree({"a": np.ones(2)}) != of_tree({"a": np.ones(3)})
        True
    """
    leaves, treedef = jax.tree.flatten(tree)
    digest = hashlib.sha256(without_addresses(str(treedef)).encode())
    for leaf in leaves:
        array = as_numpy(leaf)
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


def of_function(function: Any) -> str:
    """A function by its name, its code and what it closes over.

    Example:
        >>> def scaled(by):
        ...     return lambda x: by * x
        >>> of_function(scaled(2)) == of_function(scaled(2)) != of_function(scaled(3))
        True
    """
    digest = hashlib.sha256()
    _update(digest, function, {})
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{name} {digest.hexdigest()[:12]}"


def _update(digest: Any, value: Any, seen: dict[int, Any]) -> None:
    """Take in whatever a function may refer to."""
    if id(value) in seen:
        return
    if isinstance(value, bool | int | float | complex | str | bytes | type(None)):
        digest.update(repr(value).encode())
        return
    seen[id(value)] = value  # kept alive, so that no other object gets its number
    if isinstance(value, functools.partial):
        for part in (value.func, value.args, value.keywords):
            _update(digest, part, seen)
    elif isinstance(value, types.MethodType):
        _update(digest, value.__func__, seen)
        _update(digest, value.__self__, seen)
    elif isinstance(value, types.FunctionType):
        for inner in (value.__code__, value.__defaults__, value.__kwdefaults__):
            _update(digest, inner, seen)
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        closed = {
            name: cell.cell_contents for name, cell in cells if cell != types.CellType()
        }  # some are empty
        known = {
            name: value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__
        }
        near = {name: part for name, part in known.items() if _is_near(part, value)}
        _update(digest, {**closed, **near}, seen)
    elif isinstance(value, types.CodeType):
        digest.update(value.co_code + repr(value.co_names).encode())
        for part in value.co_consts:
            _update(digest, part, seen)
    elif isinstance(value, tuple | list):
        for part in value:
            _update(digest, part, seen)
    elif isinstance(value, dict):
        for name, part in value.items():
            _update(digest, str(name), seen)
            _update(digest, part, seen)
    elif isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        digest.update(f"{getattr(value, '__module__', '')}.{value.__name__}".encode())
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        digest.update(of_tree(value).encode())
    else:
        leaves, treedef = jax.tree.flatten(value)
        if leaves and leaves[0] is not value:  # a record: its numbers
            _update(digest, leaves, seen)
        digest.update(without_addresses(str(treedef)).encode() + type(value).__qualname__.encode())


def _is_near(part: Any, function: types.FunctionType) -> bool:
    """Whether a global that a function refers to belongs to its code: of its module, or a plain value."""
    if isinstance(part, types.FunctionType):
        return part.__module__ == function.__module__
    return isinstance(part, bool | int | float | complex | str | bytes | tuple) or hasattr(part, "dtype")


def in_words(value: Any) -> str:
    """A constant, a distribution or a strategy as text that says what it is."""
    if hasattr(value, "dtype"):
        return of_tree(value)
    return of_function(value) if callable(value) else without_addresses(repr(value))


def without_addresses(text: str) -> str:
    """A text without the addresses of objects, which differ from process to process."""
    return re.sub(r"0x[0-9a-f]+", "", text)

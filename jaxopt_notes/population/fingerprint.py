"""What a run is a function of, as short texts that can be compared: code, data, functions, numbers.

A run that goes on in another process must be the same run. Arrays are known by a hash of their bytes,
functions by a hash of their code and of what they close over, the library by a hash of its code, in which
comments, docstrings and messages are left out.
"""

import dataclasses
import enum
import functools
import hashlib
import importlib.machinery
import pathlib
import platform
import re
import types
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population.chunk_program import as_numpy, key_impl
from jaxopt_notes.record import is_function


@functools.cache
def library() -> dict[str, str]:
    """The versions that numbers depend on, this library's code included."""
    root = pathlib.Path(__file__).parents[1]
    return {
        "jaxopt_notes": importlib.import_module(root.name).__version__,
        "code": of_sources(root, without=("plots/", "interop/", "cli/")),  # on these no number depends
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def of_sources(root: pathlib.Path, without: tuple[str, ...] = ()) -> str:
    """All Python files below a folder by what they compute: edited comments and docstrings are no difference.

    Arguments:
        root: the folder.
        without: beginnings of paths that are left out.
    """
    digest = hashlib.sha256()

    def look_into(code: types.CodeType) -> None:
        digest.update(code.co_code + repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                look_into(constant)
            elif not (isinstance(constant, str) and any(map(str.isspace, constant))):  # a text for people
                digest.update(
                    repr(sorted(constant) if isinstance(constant, frozenset) else constant).encode()
                )

    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(without):
            digest.update(name.encode())
            # Python keeps compiled code beside the source, so this compiles only what is new.
            code = importlib.machinery.SourceFileLoader(name, str(path)).get_code(name)
            look_into(code) if code else None
    return digest.hexdigest()[:12]


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
        what = f"{array.dtype}{array.shape}{key_impl(leaf) or ''}"
        digest.update(what.encode() + np.ascontiguousarray(array).tobytes())
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
    """Take in whatever a function may refer to, so that other contents give another sequence of bytes."""

    def note(*words: Any) -> None:
        digest.update(("\0".join(map(str, words)) + "\n").encode())

    def look_into(kind: str, *parts: Any) -> None:
        note(kind, len(parts))
        for part in parts:
            _update(digest, part, seen)

    if isinstance(value, bool | int | float | complex | str | bytes | range | slice | type(None)):
        return note(repr(value))
    if id(value) in seen:
        return note("seen", list(seen).index(id(value)))
    seen[id(value)] = value  # kept alive, so that no other object gets its number
    if isinstance(value, functools.partial):
        look_into("partial", value.func, value.args, value.keywords)
    elif isinstance(value, types.MethodType):
        look_into("method", value.__func__, value.__self__)
    elif isinstance(value, types.FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        closed = {
            name: cell.cell_contents for name, cell in cells if cell != types.CellType()
        }  # some are empty
        known = {
            name: value.__globals__[name] for name in _names(value.__code__) if name in value.__globals__
        }
        near = {name: part for name, part in known.items() if _is_near(part, value)}
        look_into("function", value.__code__, value.__defaults__, value.__kwdefaults__, {**closed, **near})
    elif isinstance(value, types.CodeType):
        look_into("code", value.co_code, repr(value.co_names), value.co_consts)
    elif isinstance(value, tuple | list):
        look_into(type(value).__qualname__, *value)
    elif isinstance(value, set | frozenset):
        look_into("set", *sorted(value, key=repr))
    elif isinstance(value, dict):
        look_into("dict", *map(str, value), *value.values())
    elif isinstance(value, enum.Enum):
        note(type(value).__qualname__, value.name)
    elif isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        note(getattr(value, "__module__", ""), value.__name__)
    elif wrapped := _wrapped(value):
        look_into("wrapped", *wrapped)
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        note(of_tree(value))
    else:
        leaves, treedef = jax.tree.flatten(value)
        note(without_addresses(str(treedef)), type(value).__qualname__)
        if leaves and leaves[0] is not value:  # a record: its numbers
            look_into("leaves", *leaves)
        elif dataclasses.is_dataclass(value):
            look_into("fields", *(getattr(value, field.name) for field in dataclasses.fields(value)))


def _names(code: types.CodeType) -> list[str]:
    """The names that a function and the functions inside it look up."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return [*code.co_names, *(name for part in inner for name in _names(part))]


def _wrapped(value: Any) -> list[Any]:
    """The functions inside what `jax.jit`, `jax.custom_vjp` and their like have made; else nothing."""
    if isinstance(value, types.FunctionType) or not callable(getattr(value, "__wrapped__", None)):
        return []
    return [value.__wrapped__, *(getattr(value, name, None) for name in ("fwd", "bwd", "jvp"))]


def _is_near(part: Any, function: types.FunctionType) -> bool:
    """Whether a global that a function refers to belongs to its code: of its module, or plain values."""
    while wrapped := _wrapped(part):
        part = wrapped[0]
    if isinstance(part, types.FunctionType):
        return part.__module__ == function.__module__
    if isinstance(part, dict | list | tuple):
        return all(isinstance(leaf, _PLAIN) or hasattr(leaf, "dtype") for leaf in jax.tree.leaves(part))
    return isinstance(part, (*_PLAIN, set, frozenset, enum.Enum)) or hasattr(part, "dtype")


_PLAIN = (bool, int, float, complex, str, bytes)


def in_words(value: Any) -> str:
    """A constant, a distribution or a strategy as text that says what it is."""
    if hasattr(value, "dtype"):
        return of_tree(value)
    return of_function(value) if is_function(value) else without_addresses(repr(value))


def without_addresses(text: str) -> str:
    """A text without the addresses of objects, which differ from process to process."""
    return re.sub(r"0x[0-9a-f]+", "", text)

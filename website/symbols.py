"""What is public: every name of every subpackage, where it is defined, and whether it is documented."""

import dataclasses
import functools
import importlib
import inspect
import types
from collections.abc import Iterable
from typing import Any

import griffe

import jaxopt_notes

SUBPACKAGES = (*jaxopt_notes._FLAT, *jaxopt_notes._NAMESPACES)
TOP = ("record", "replace", "static")  # public, and of no subpackage


@dataclasses.dataclass(frozen=True)
class Symbol:
    """A public name: where users find it, where it is defined, and what it is."""

    name: str
    subpackage: str
    path: str
    kind: str  # "function", "class" or "attribute"
    summary: str

    @property
    def page(self) -> str:
        """The folder that it is defined in: `optimizers.wrappers`, for all its files one page."""
        module = self.path.rpartition(".")[0]
        folder = module if is_package(module) else module.rpartition(".")[0]
        return folder.removeprefix("jaxopt_notes").strip(".") or self.subpackage


@functools.cache
def is_package(module: str) -> bool:
    """Whether a module is a folder (or a public module of one file, which is a page of its own)."""
    return hasattr(importlib.import_module(module), "__path__") or module.count(".") == 1


@functools.cache
def source() -> griffe.Module:
    """The package as it is written, with its docstrings."""
    package = griffe.load("jaxopt_notes")
    assert isinstance(package, griffe.Module)
    return package


def documented(path: str) -> bool:
    """Whether what is defined at this path has a docstring of its own, not that of a base class."""
    try:
        thing = source()[path.removeprefix("jaxopt_notes.")]
        return thing.has_docstring
    except (KeyError, griffe.AliasResolutionError):
        return False


def symbols(subpackages: Iterable[str] = SUBPACKAGES) -> dict[str, Symbol]:
    """Path → symbol, each once: a name that two subpackages offer has the page of the one that defines it."""
    found: dict[str, Symbol] = {}
    for subpackage in subpackages:
        module = importlib.import_module(f"jaxopt_notes.{subpackage}")
        for name in module.__all__:
            symbol = of(getattr(module, name), name, subpackage)
            found.setdefault(symbol.path, symbol)
    for name in TOP if tuple(subpackages) == SUBPACKAGES else ():
        symbol = of(getattr(jaxopt_notes, name), name, "record")
        found.setdefault(symbol.path, symbol)
    return found


def of(thing: Any, name: str, subpackage: str) -> Symbol:
    """The symbol of a thing that is public as `name` in a subpackage."""
    home = getattr(thing, "__module__", "") or ""
    own = inspect.isclass(thing) or isinstance(thing, types.FunctionType)
    if own and home.startswith("jaxopt_notes") and getattr(thing, "__name__", "") == name:
        path = f"{home}.{name}"
    else:
        path = assigned(name, subpackage)
    kind = "class" if inspect.isclass(thing) else "function" if callable(thing) else "attribute"
    doc = inspect.getdoc(thing) if kind != "attribute" else attribute_doc(path)
    return Symbol(name, subpackage, path, kind, (doc or "").strip().partition("\n")[0])


def assigned(name: str, subpackage: str) -> str:
    """The path of what is no function or class: the module of the subpackage that assigns the name."""

    def search(module: griffe.Module) -> str | None:
        member = module.members.get(name)
        if member is not None and not member.is_alias:
            return member.path
        found = (search(inner) for inner in module.modules.values() if not inner.is_alias)
        return next((path for path in found if path), None)

    return search(source()[subpackage]) or f"jaxopt_notes.{subpackage}.{name}"


def attribute_doc(path: str) -> str:
    """The string beneath an assignment, or nothing."""
    try:
        docstring = source()[path.removeprefix("jaxopt_notes.")].docstring
    except (KeyError, griffe.AliasResolutionError):
        return ""
    return docstring.value if docstring else ""


def undocumented(found: Iterable[Symbol]) -> list[str]:
    """The paths of those without a docstring of their own."""
    return [symbol.path for symbol in found if not documented(symbol.path)]

"""Registries: the public names of a subpackage and its factories, found in the modules that it imports.

A file says in `__all__` what is public. Its subpackage imports it with one line,
`from jaxopt_notes.layers.dense import *`, and that line is the registration: `public_names` finds what came
in so, and `returning` picks the factories, by what their annotations say that they return.
"""

import inspect
import sys
import typing
from collections.abc import Callable
from typing import Any


def public_names(package: str, namespace: dict[str, Any]) -> list[str]:
    """The names in a namespace that the modules of a package say are public."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(f"{package}.")]
    listed = {name for module in modules for name in getattr(module, "__all__", ())}
    return sorted(listed & set(namespace))


def returning(namespace: dict[str, Any], *methods: str) -> dict[str, Callable[..., Any]]:
    """The functions in a namespace that return a record with these methods, by name, in order.

    Example:
        >>> class Layer:
        ...     def apply(self, x): return 2 * x
        >>> def layer() -> Layer: return Layer()
        >>> def number() -> int: return 4
        >>> list(returning({"layer": layer, "number": number}, "apply"))
        ['layer']
    """
    found: dict[str, Callable[..., Any]] = {}
    for name, thing in namespace.items():
        if inspect.isfunction(thing) and not name.startswith("_"):
            made = typing.get_type_hints(thing).get("return")
            if inspect.isclass(made) and all(_defines(made, method) for method in methods):
                found[name] = thing
    return found


def _defines(kind: type, method: str) -> bool:
    return any(method in vars(base) for base in kind.__mro__[:-1])

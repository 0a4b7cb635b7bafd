"""What a function asks for while it is traced and cannot have: a value, or a name that is not there.

What a function is mapped over is traced: one program serves all values. A function that needs such a value
(an `if`, a size, `float(x)`) fails somewhere inside JAX or NumPy, and that error names no argument. So the
function is traced again with the value of one argument after the other known; the one that cures it is the
culprit.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

# As a size, in an `if`, …: what all messages about a needed value say.
WHILE_TRACED = "while it is traced, as a size, in an `if`, in a loop or as a Python number"


def needed_values(function: Callable[..., Any], values: Mapping[str, Any], *others: Any) -> list[str]:
    """The names of those values that `function(values, *others)` has to know while it is traced.

    Arguments:
        function: called with `values` and `others`; nothing of it is compiled.
        values: name → a number or an array.
        others: pytrees of further arguments, which stay traced.

    Returns:
        Each name whose value alone, if known, lets the function be traced; all names if only all of them
        together do; none if the function can be traced as it is, or fails for another reason.

    Example:
        >>> def function(h):
        ...     return h["rate"] * 2 if h["width"] > 3 else h["rate"]
        >>> needed_values(function, {"rate": 0.1, "width": 4})
        ['width']
    """

    def fails(known: Mapping[str, Any]) -> bool:
        traced = {name: value for name, value in values.items() if name not in known}
        try:
            jax.eval_shape(lambda traced, *others: function({**traced, **known}, *others), traced, *others)
        except Exception:
            return True
        return False

    if not fails({}):
        return []
    plain = {name: np.asarray(value) for name, value in values.items()}
    scalars = {name: value[()] for name, value in plain.items()}  # which have methods: `item`, `astype`
    numbers = {name: value.item() if value.ndim == 0 else value for name, value in plain.items()}
    for known in (numbers, scalars):
        alone = [name for name in values if not fails({name: known[name]})]
        if alone:
            return alone
        if len(values) > 1 and not fails(known):
            return list(values)
    return []


def missing_name(function: Callable[[Any], Any], tree: Any, called: str) -> str | None:
    """What `function(tree)` fails for, if it asks a dict of the tree for a name that is not there.

    Arguments:
        function: called with the tree, whose dicts are of another class then.
        tree: nested dicts.
        called: what the function calls the tree.

    Returns:
        The end of a sentence; `None` if the function does not fail, or for another reason.

    Example:
        >>> missing_name(lambda h: h["net"]["with"], {"net": {"width": 4}}, "h")
        "h['net']['with'], expected one of 'width': did you mean h['net']['width']?"
    """
    asked: list[tuple[str, _Asked, str]] = []
    try:
        function(_watched(tree, called, asked))
    except KeyError as error:
        found = [entry for entry in asked if error.args == (entry[2],)]
    except AttributeError as error:
        found = [entry for entry in asked if error.name == entry[2] and error.obj is entry[1]]
    except Exception:
        return None
    else:
        return None
    if not found:
        return None
    where, there, name = found[-1]
    known = ", ".join(map(repr, there))
    text = f"{where}[{name!r}], " + (f"expected one of {known}" if known else "and there are no names at all")
    if name in there:
        return f"{where}.{name}, and {where} is a dict: {where}[{name!r}]."
    close = difflib.get_close_matches(str(name), [str(one) for one in there], 1)
    return f"{text}: did you mean {where}[{close[0]!r}]?" if close else f"{text}."


class _Asked(dict):
    """A dict that notes which names it is asked for that it does not have."""

    def __init__(self, entries: dict, called: str, asked: list):
        super().__init__(entries)
        self._called, self._asked = called, asked

    def __missing__(self, name: Any) -> Any:
        self._asked.append((self._called, self, name))
        raise KeyError(name)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            self._asked.append((self._called, self, name))
        raise AttributeError(f"'dict' object has no attribute {name!r}", name=name, obj=self)


def _watched(tree: Any, called: str, asked: list) -> Any:
    if type(tree) is not dict:
        return tree
    entries = {name: _watched(value, f"{called}[{name!r}]", asked) for name, value in tree.items()}
    return _Asked(entries, called, asked)

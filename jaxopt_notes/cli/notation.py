"""Dimensions of a search space, and strategies, as text: what the command line reads, `config.json` keeps.

`write_axis` and `read_axis` are inverse to each other, so a job that was written down can be run again.
"""

import ast
import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxopt_notes import search

FACTORIES = ("uniform", "log_uniform", "normal", "integers", "choice", "static_choice")


def read_axis(text: str) -> Any:
    """A distribution or a number from text; nothing is evaluated but literals.

    Arguments:
        text: a number, or one of `FACTORIES` with its arguments.

    Raises:
        ValueError: the text is neither, or the distribution refuses its arguments.

    Example:
        >>> read_axis("uniform(0, high=0.5)"), read_axis("1e-3")
        (Uniform(low=0.0, high=0.5), 0.001)
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if not isinstance(node, ast.Call):
            return float(ast.literal_eval(node))
        call = _read_call(node, {name: getattr(search, name) for name in FACTORIES})
    except (SyntaxError, ValueError, TypeError):
        raise ValueError(
            f"{text!r} is not a dimension, expected a number or one of {', '.join(FACTORIES)} with its "
            'arguments: as in "log_uniform(1e-4, 1e-1)".'
        ) from None
    return call()


def read_strategy(text: str) -> Any:
    """A search strategy from text; nothing is evaluated but literals.

    Arguments:
        text: a name in `STRATEGIES` with its arguments.

    Raises:
        ValueError: the text is not a strategy, or the strategy refuses its arguments.

    Example:
        >>> read_strategy("random_search(16)")
        RandomSearch(n=16)
    """
    try:
        call = _read_call(ast.parse(text.strip(), mode="eval").body, search.STRATEGIES)
    except (SyntaxError, ValueError, TypeError):
        raise ValueError(
            f"{text!r} is not a strategy, expected one of {', '.join(search.STRATEGIES)} with its "
            'arguments: as in "successive_halving(27, max_epochs=9)".'
        ) from None
    return call()


def _read_call(node: Any, factories: Mapping[str, Callable]) -> Callable[[], Any]:
    """A call of one of some factories with literals, not yet made."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in factories):
        raise SyntaxError
    factory = factories[node.func.id]
    positional = [ast.literal_eval(argument) for argument in node.args]
    named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
    inspect.signature(factory).bind(*positional, **named)
    return functools.partial(factory, *positional, **named)


def write_axis(axis: Any) -> str:
    """The text of a distribution or a number.

    Example:
        >>> write_axis(search.log_uniform(1e-4, 1e-1)), write_axis(search.choice([1, 2])), write_axis(0.5)
        ('log_uniform(low=0.0001, high=0.1)', 'choice(values=[1, 2])', '0.5')
    """
    if not isinstance(axis, search.Distribution):
        return repr(axis)
    factory = (inspect.getdoc(axis) or "").split("`")[1]  # a record's docstring names its factory
    values = ((field.name, getattr(axis, field.name)) for field in dataclasses.fields(axis))  # type: ignore[arg-type]
    return f"{factory}({', '.join(f'{name}={_literal(value)}' for name, value in values)})"


def _literal(value: Any) -> Any:
    """Numbers and arrays as Python has them; the values of a static choice as they are."""
    return list(value) if isinstance(value, tuple) else np.asarray(value).tolist()

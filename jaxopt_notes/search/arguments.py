"""What a search is given, checked before anything is trained: hours later it would be too late."""

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any


def check_names(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse arguments that a function does not have.

    Raises:
        TypeError: naming the first of them, what it may be meant for, and all there are.

    Example:
        >>> check_names("sweep", ["bach_size"], ["batch_size", "devices"])
        Traceback (most recent call last):
        TypeError: sweep() has no argument 'bach_size': did you mean 'batch_size'? It has batch_size, devices.
    """
    known = sorted(known)
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f": did you mean {close[0]!r}? It has" if close else ", it has"
            raise TypeError(f"{where}() has no argument {name!r}{hint} {', '.join(known)}.")


def names_of(function: Callable, without: Iterable[str] = ()) -> list[str]:
    """The arguments that a function takes by name."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [a.name for a in found if a.kind not in kinds and a.name not in set(without)]


def check_strategy(where: str, strategy: Any) -> Any:
    """Return `strategy` if it can be asked and told.

    Raises:
        TypeError: it cannot.
    """
    methods = ("init", "remaining", "ask", "tell")
    if not inspect.isclass(strategy) and all(callable(getattr(strategy, m, None)) for m in methods):
        return strategy
    hint = f"call it: {strategy.__name__}(...)" if inspect.isroutine(strategy) else "as random_search(64)"
    raise TypeError(
        f"{where} is {strategy!r}, expected a search strategy, an object with {', '.join(methods)}: {hint}."
    )


def for_objectives(where: str, strategy: Any, count: int) -> Any:
    """The strategy, told how many objectives there are.

    One that takes as many as there are has a field `objectives`; one that does not learn has it as `None`.

    Raises:
        TypeError: it learns from one, and there are several.
    """
    takes = getattr(strategy, "objectives", 1)
    if takes is None or takes == count:
        return strategy
    if dataclasses.is_dataclass(strategy) and "objectives" in {f.name for f in dataclasses.fields(strategy)}:
        return dataclasses.replace(strategy, objectives=count)  # type: ignore[type-var]
    name = (inspect.getdoc(strategy) or "").split("`")[1:2] or [type(strategy).__name__]
    raise TypeError(
        f"{where}(monitor) has {count} names, and {name[0]} learns from one score: nsga2(64) learns from "
        "several, random_search, sobol and other strategies that do not learn take any number; or keep one "
        'monitor and bound the others, constraints={"parameters": 5000}.'
    )


def check_loggers(where: str, logger: Any) -> tuple:
    """One logger, several, or none, as a tuple.

    Raises:
        TypeError: one of them has no `log` and `close`, or is a class.
    """
    loggers = tuple(logger) if isinstance(logger, tuple | list) else () if logger is None else (logger,)
    for one in loggers:
        if inspect.isclass(one):
            raise TypeError(f"{where} is the class {one.__name__}, expected a logger: {one.__name__}(...).")
        if not all(callable(getattr(one, method, None)) for method in ("log", "close")):
            raise TypeError(
                f"{where} is {one!r}, expected an object with log(trial, seed, config, score, history) and "
                "close(), as csv_logger(path), or several."
            )
    return loggers

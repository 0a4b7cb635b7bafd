"""The names of hyperparameters beside those of a search's own columns.

Users name their hyperparameters as they like: `loss`, `seed`, `epochs`. Such a name means the hyperparameter
in every table, file and log. A column of the search's own that has the same name is put into a namespace
there: `sweep/seed` for what the search knows of a trial, `history/loss` for an entry of its history,
`score/loss` for its score.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import dimensions

# Columns that a strategy may add to a batch: see `rounds`.
RESERVED = ("epochs", "parent")


def own_names(taken: Iterable[str], namespace: str, names: Iterable[str]) -> dict[str, str]:
    """What the search's own columns are called beside names that are taken: as they are, where that is free.

    Example:
        >>> own_names(["rate", "seed"], "sweep", ["trial", "seed"])
        {'trial': 'trial', 'seed': 'sweep/seed'}
    """
    used, called = set(taken), {}
    for name in names:
        free = name
        while free in used:
            free = f"{namespace}/{free}"
        used.add(free)
        called[name] = free
    return called


def reserved_names(axes: Mapping[str, Distribution]) -> dict[str, str]:
    """What the reserved columns are called in batches of a space with these dimensions."""
    return own_names(axes, "sweep", RESERVED)


def reserved_columns(results: Any) -> dict[str, Any]:
    """The reserved columns of a `Results`, by their reserved names; those that it has."""
    called = reserved_names({} if results.space is None else dimensions(results.space))
    return {name: results.columns[there] for name, there in called.items() if there in results.columns}


def hyperparameters(results: Any) -> dict[str, Any]:
    """The columns of a `Results` without the reserved ones."""
    called = reserved_names({} if results.space is None else dimensions(results.space)).values()
    return {name: column for name, column in results.columns.items() if name not in called}

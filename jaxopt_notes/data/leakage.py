"""Leakage: samples that two parts of the data share, so that one is no test of what the other taught.

Duplicates come from files joined twice, or from augmentation before the split. Rows are compared by their
bytes, on the host. Pieces of one source are not equal and not found: `grouped_split` keeps them together.
"""

from typing import NamedTuple

import jax
import numpy as np

from jaxopt_notes.data.dealing import common_length
from jaxopt_notes.dtypes import Tree


class LeakageReport(NamedTuple):
    """Which rows two parts share: by the names of both, [m, 2], the row in the first and in the second.

    Example:
        >>> print(leakage_report(train=(np.eye(3), np.arange(3)), test=(np.eye(3)[1:2], np.arange(1))))
        1 of 1 rows of test are in train (0 as 1)
    """

    shared: dict[tuple[str, str], np.ndarray]
    sizes: dict[str, int]

    @property
    def clean(self) -> bool:
        """Whether no two parts share a row."""
        return not any(map(len, self.shared.values()))

    def __str__(self) -> str:
        lines = [
            f"{len(set(rows[:, 1]))} of {self.sizes[second]} rows of {second} are in {first} "
            f"({', '.join(f'{j} as {i}' for i, j in rows[:3])}{', …' if len(rows) > 3 else ''})"
            for (first, second), rows in self.shared.items()
            if len(rows)
        ]
        return "\n".join(lines) or f"{', '.join(self.sizes)} share no row"


def leakage_report(**parts: Tree) -> LeakageReport:
    """The rows that parts of the data have in common.

    Arguments:
        parts: by name, pairs `(x, y)` or trees of arrays [n, …]; of a pair the inputs x are compared. A
            `Split` is passed as `leakage_report(**split(key, data)._asdict())`.

    Returns:
        A `LeakageReport`: `shared`, `clean`, and in print a line for every two parts that share rows.

    Raises:
        ValueError: fewer than two parts, arrays of unequal length, or inputs of different kinds.

    Example:
        >>> x = np.arange(6.0).reshape(3, 2)
        >>> leakage_report(train=x, validation=x + 6, test=x[2:]).shared["train", "test"]
        array([[2, 0]])

    Source: Kaufman et al. 2012.
    """
    if len(parts) < 2:
        raise ValueError(
            f"leakage_report was given {len(parts)} parts, expected two at least: train=…, test=…"
        )
    inputs = {name: data[0] if isinstance(data, tuple) else data for name, data in parts.items()}
    kinds = {
        name: [(np.shape(a)[1:], str(np.asarray(a).dtype)) for a in jax.tree.leaves(x)]
        for name, x in inputs.items()
    }
    first_name = next(iter(kinds))
    for name, kind in kinds.items():
        if kind != kinds[first_name]:
            raise ValueError(
                f"leakage_report({name}) has inputs {kind}, expected {kinds[first_name]}, those of "
                f"{first_name}: bring all parts to one shape and dtype."
            )
    rows = {name: _bytes(name, x) for name, x in inputs.items()}
    names, shared = list(rows), {}
    for i, first in enumerate(names):
        known: dict[bytes, int] = {}
        for place, row in enumerate(rows[first]):
            known.setdefault(row, place)
        for second in names[i + 1 :]:
            pairs = [(known[row], place) for place, row in enumerate(rows[second]) if row in known]
            shared[first, second] = np.array(pairs, int).reshape(-1, 2)
    return LeakageReport(shared, {name: len(found) for name, found in rows.items()})


def assert_disjoint(*parts: Tree) -> None:
    """Raise if two parts of the data have a row in common.

    Arguments:
        parts: pairs `(x, y)` or trees of arrays [n, …]; of a pair the inputs are compared. A `Split` is
            passed as `assert_disjoint(*split(key, data))`.

    Raises:
        AssertionError: two parts share rows; the message says which.
        ValueError: see `leakage_report`.

    Example:
        >>> assert_disjoint((np.eye(3), np.arange(3)), (2 * np.eye(3), np.arange(3)))
        >>> assert_disjoint(np.eye(3), np.eye(3)[2:])
        Traceback (most recent call last):
        AssertionError: parts of the data share rows: 1 of 1 rows of part 1 are in part 0 (0 as 2). …
    """
    report = leakage_report(**{f"part {i}": part for i, part in enumerate(parts)})
    if not report.clean:
        lines = str(report).replace("\n", "; ")
        raise AssertionError(
            f"parts of the data share rows: {lines}. Drop duplicates before the split, and keep samples of "
            f"one source together with grouped_split."
        )


def _bytes(name: str, x: Tree) -> list[bytes]:
    """Each row as bytes; −0 is 0, and every NaN is the same."""
    n = common_length(f"leakage_report({name})", x)

    def of_array(array: np.ndarray) -> np.ndarray:
        array = np.asarray(array)
        if array.dtype.kind in "fc":
            array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array + np.array(0, array.dtype))
        return (
            np.ascontiguousarray(array).reshape(n, -1).view(np.uint8)
            if array.size
            else np.zeros((n, 0), np.uint8)
        )

    columns = np.concatenate([of_array(array) for array in jax.tree.leaves(x)], axis=1)
    return [row.tobytes() for row in columns]

"""What every study returns: its numbers as arrays, the rows of its table, its picture."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.search.export import Rows

Array = jax.Array | np.ndarray
Figure = Any  # matplotlib's, which need not be installed


class StudyResult:
    """The base of what studies return: records whose arrays are leaves, with `rows` and `plot` of their own.

    A study is a function that returns such a record, and that annotation is what makes it one: `STUDIES` and
    the command line find it by it.
    """

    def rows(self) -> Rows:
        """The table: one dict a row, numbers as medians over seeds where there are seeds."""
        raise NotImplementedError

    def plot(self) -> Figure:
        """A matplotlib Figure, returned and not shown."""
        raise NotImplementedError

    def table(self) -> str:
        """The rows as aligned text.

        Example:
            >>> class Two(StudyResult):
            ...     def rows(self): return [{"rate": 0.1, "loss": 2.0}, {"rate": 1.0, "loss": 1e-9}]
            >>> print(Two().table())
            rate   loss
             0.1      2
               1  1e-09
        """
        return aligned(self.rows())

    def __str__(self) -> str:
        return self.table()


def aligned(rows: list[dict[str, Any]]) -> str:
    """Rows as text, text to the left and numbers to the right, with four digits."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    columns = []
    for i, name in enumerate(names):
        column = [name, *(row[i] for row in cells)]
        width = max(map(len, column))
        left = isinstance(rows[0][name], str)
        columns.append([cell.ljust(width) if left else cell.rjust(width) for cell in column])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{float(value):.4g}" if float(value) != int_or_nan(value) else f"{int(value)}"


def int_or_nan(value: Any) -> float:
    """The whole number that a number is, if it is one of moderate size; else NaN."""
    number = float(value)
    return number if np.isfinite(number) and number == round(number) and abs(number) < 1e9 else float("nan")


def median(values: ArrayLike) -> np.ndarray:
    """The median over the last axis, that of the seeds.

    Example:
        >>> median([[1.0, 2.0, 9.0]])
        array([2.])
    """
    return np.median(np.asarray(values), axis=-1)


def rows_of(**columns: Iterable[Any]) -> Rows:
    """Columns of equal length as rows.

    Example:
        >>> rows_of(rate=[0.1, 1.0], loss=[2, 3])
        [{'rate': 0.1, 'loss': 2}, {'rate': 1.0, 'loss': 3}]
    """
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

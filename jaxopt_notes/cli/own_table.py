"""What the columns of a table are, and what is to be predicted: decided from the values, and said.

A column is a number, a date, or a category; or it is left out, because it is constant, has nothing in it, or
names the rows, as the index of a data frame does. What is learned from values (medians, scales, the levels of
a category) is learned from the training part alone, by `fit_encoder`.
"""

import dataclasses
from typing import Any

import numpy as np

from jaxopt_notes.cli.table_file import INDEX, Columns
from jaxopt_notes.cli.written import has_decimal_commas, read_dates, read_numbers

FEW = 20  # different whole numbers that are taken for classes
LEVELS = 50  # of a category, at most


@dataclasses.dataclass(frozen=True)
class Table:
    """Inputs and target of all rows that have a target.

    Arguments:
        inputs: numbers [n] or [n, …] with NaN for missing ones, and categories, objects with `None`.
        target: class numbers int32 [n], or float64 [n].
        classes: the classes in order; none in a regression.
        said: what was found out and decided, a sentence each.
    """

    inputs: Columns
    target: np.ndarray
    classes: list[str]
    said: list[str]

    def __len__(self) -> int:
        return len(self.target)

    @property
    def arrays(self) -> list[str]:
        """The inputs that have more axes than the first: images, or rows of features."""
        return [name for name, column in self.inputs.items() if column.ndim > 1]


def read_table(columns: Columns, target: str, task: str = "auto", ignored: tuple[str, ...] = ()) -> Table:
    """Decide what a table says.

    Arguments:
        columns: as `read_columns` returns them.
        target: the column to be predicted.
        task: "classification", "regression", or "auto": classes are text, or few whole numbers.
        ignored: columns that are no inputs.

    Raises:
        ValueError: a column that is not there, no input, a target without values or with one value only.

    Example:
        >>> table = read_table({"x": np.arange(12.0), "y": np.array(["a", "b"] * 6, object)}, "y")
        >>> table.classes, table.target[:3]
        (['a', 'b'], array([0, 1, 0], dtype=int32))
    """
    for flag, name in [("--target", target), *(("--ignore", name) for name in ignored)]:
        if name not in columns:
            raise ValueError(f"{flag} is {name!r}, expected a column of the file: {', '.join(columns)}.")
    said: list[str] = []
    columns = _with_numbers(columns, [name for name in columns if name not in ignored], said)
    known = ~is_missing(columns[target])
    if columns[target].ndim > 1:
        raise ValueError(f"--target {target!r} has shape {columns[target].shape}, expected one value a row.")
    if not known.any():
        raise ValueError(f"--target {target!r} has no values.")
    if not known.all():
        said.append(f"{(~known).sum()} rows without {target!r} are left out.")
    rows = {name: column[known] for name, column in columns.items()}
    y, classes = _target(target, rows[target], task, said)
    inputs = {}
    if INDEX in rows and INDEX not in (target, *ignored):
        said.append("The index of a data frame stands beside its columns and is left out.")
        ignored = (*ignored, INDEX)
    for name, column in rows.items():
        if name != target and name not in ignored and (found := _input(name, column, said)) is not None:
            inputs[name] = found
    if not inputs:
        raise ValueError(f"--data has no column to predict {target!r} from. {' '.join(said)}")
    kinds = {"numbers": 0, "categories": 0}
    for column in inputs.values():
        kinds["categories" if column.dtype == object else "numbers"] += 1
    said.append(f"{len(y)} rows, {' and '.join(f'{n} {kind}' for kind, n in kinds.items() if n)} as inputs.")
    return Table(inputs, y, classes, said)


def _with_numbers(columns: Columns, names: list[str], said: list[str]) -> Columns:
    """The table with numbers where text is numbers that are not written as most programs write them."""
    texts = {
        name: columns[name][~is_missing(columns[name])] for name in names if columns[name].dtype == object
    }
    comma = any(has_decimal_commas(list(values)) for values in texts.values())
    return columns | {name: _numbers(name, columns[name], comma, said) for name in texts}


def _numbers(name: str, column: np.ndarray, comma: bool, said: list[str]) -> np.ndarray:
    """A column of text, or the numbers that it is.

    A word among many different numbers stands for a missing one; several words are a mistake in the file.
    """
    there = np.flatnonzero(~is_missing(column))
    texts = column[there]
    found = read_numbers(texts.tolist(), comma)
    words = sorted(set(texts[~found.read].tolist()))
    different = len(set(found.values[found.read].tolist()))
    if not found.read.any() or (words and (different <= FEW or found.read.mean() < 0.5)):
        return column
    if len(words) > 1 and found.read.mean() < 0.9:
        return column
    if len(words) > 1:
        raise ValueError(
            f"--data: column {name!r} has numbers in {found.read.sum()} rows, and in {(~found.read).sum()} "
            f"{words[0]!r}, {words[1]!r}{', …' if len(words) > 2 else ''}: mend them, leave them empty if "
            f"they are missing, or --ignore {name}."
        )
    if not found.plain:
        example = max(np.flatnonzero(found.read), key=lambda i: len(texts[i]))
        said.append(
            f"{name!r} has numbers written as {texts[example]!r}, read as {found.values[example]:.12g}."
        )
    if words:
        said.append(f"{name!r} has {words[0]!r} among its numbers, which is taken for a missing one.")
    numbers = np.full(len(column), np.nan)
    numbers[there] = found.values
    return numbers


def is_missing(column: np.ndarray) -> np.ndarray:
    """Where a column has no value; of rows of numbers, where a row has none at one place."""
    if column.dtype == object:
        return np.array([value is None for value in column])
    return np.isnan(column.reshape(len(column), -1).astype(float)).any(axis=1)


def _target(name: str, column: np.ndarray, task: str, said: list[str]) -> tuple[np.ndarray, list[str]]:
    distinct = sorted(set(column.tolist()))
    text = column.dtype == object
    whole = not text and bool((column == np.round(column)).all())
    if len(distinct) == 1:
        raise ValueError(f"--target {name!r} is {distinct[0]!r} in all rows: there is nothing to learn.")
    if task == "regression" and text:
        raise ValueError(
            f"--task is regression, and {name!r} has text, as {distinct[0]!r}: --task classification."
        )
    few = whole and len(distinct) <= FEW and len(distinct) <= len(column) / 5
    if task == "classification" or (task == "auto" and (text or few)):
        if len(distinct) > len(column) / 2:
            raise ValueError(
                f"--target {name!r} has {len(distinct)} different values in {len(column)} rows, too many for "
                "classes" + ("." if text else ": --task regression.")
            )
        classes = [value if text else f"{value:g}" for value in distinct]
        why = (
            "" if task != "auto" else ", because it is text" if text else ", because it has few whole numbers"
        )
        said.append(f"{name!r} is a class, one of {len(classes)} ({', '.join(classes[:5])}"
                    f"{', …' if len(classes) > 5 else ''}): classification{why}.")  # fmt: skip
        return np.searchsorted(np.asarray(distinct), column.tolist()).astype(np.int32), classes
    if not np.isfinite(column).all():
        raise ValueError(f"--target {name!r} has numbers that are not finite.")
    why = ", because it has many values" if task == "auto" else ""
    said.append(f"{name!r} is a number from {column.min():g} to {column.max():g}: regression{why}.")
    return column, []


def _input(name: str, column: np.ndarray, said: list[str]) -> np.ndarray | None:
    """The column as an input, or `None` if it is left out."""
    missing = is_missing(column)
    if column.ndim > 1:
        if missing.any() or not np.isfinite(column).all():
            raise ValueError(f"--data: the array {name!r} has values that are missing or not finite.")
        return column
    if missing.all():
        said.append(f"{name!r} has no values and is left out.")
        return None
    there = column[~missing]
    if column.dtype == object and (dates := read_dates(there.tolist())):
        if len(dates) > 1:
            said.append(
                f"{name!r} has dates, as {there[0]!r}, of which nothing tells the day from the month, and is "
                "left out: write them as 2024-01-31."
            )
            return None
        said.append(f"{name!r} is a date, taken in days.")
        column = np.full(len(column), np.nan)
        column[~missing], there = dates[0], dates[0]
    distinct = len(set(there.tolist()))
    if distinct == 1 and not missing.any():
        said.append(f"{name!r} is constant and is left out.")
        return None
    many = distinct > max(LEVELS, len(column) / 2) or distinct == len(there)
    if column.dtype == object and many:
        said.append(
            f"{name!r} has {distinct} different texts, as {there[0]!r}, and is left out: it names rows."
        )
        return None
    if column.dtype == object and distinct > LEVELS:
        said.append(f"{name!r} has {distinct} different texts, of which the {LEVELS} most frequent count.")
    if column.dtype != object and not np.isfinite(there).all():
        raise ValueError(f"--data: column {name!r} has infinite numbers: leave it out with --ignore {name}.")
    if missing.any():
        said.append(f"{name!r} lacks {missing.sum()} of {len(column)} values.")
    return column


@dataclasses.dataclass(frozen=True)
class Encoder:
    """How inputs become one row of numbers: see `fit_encoder`.

    Arguments:
        numbers: name → (median, mean, standard deviation, whether a missing value is marked).
        levels: name → the levels of a category; "" stands for a missing value.
    """

    numbers: dict[str, tuple[float, float, float, bool]]
    levels: dict[str, list[str]]

    def apply(self, inputs: Columns) -> np.ndarray:
        """Rows of numbers float32 [n, features]."""
        parts = []
        for name, (median, mean, deviation, marked) in self.numbers.items():
            missing = np.isnan(inputs[name])
            parts.append((np.where(missing, median, inputs[name]) - mean) / deviation)
            if marked:
                parts.append(missing.astype(float))
        for name, levels in self.levels.items():
            filled = ["" if value is None else value for value in inputs[name]]
            parts += [np.array([float(value == level) for value in filled]) for level in levels]
        return np.stack(parts, axis=1).astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        names = ("median", "mean", "deviation", "missing_marked")
        numbers = {name: dict(zip(names, found, strict=True)) for name, found in self.numbers.items()}
        return {"numbers": numbers, "categories": self.levels}


def fit_encoder(inputs: Columns) -> Encoder:
    """Learn from the training part how inputs become numbers.

        x ← (x − mean)/deviation, a missing x being the median, and 1 beside it;  category → a column a level

    Arguments:
        inputs: columns of the training part only.

    Returns:
        An `Encoder`. Of categories the most frequent levels count, `LEVELS` at most; others, and those that
        only other parts have, are zeros everywhere.

    Example:
        >>> encoder = fit_encoder({"x": np.array([1.0, 3.0, np.nan]), "c": np.array(["a", "b", "a"], object)})
        >>> encoder.apply({"x": np.array([2.0]), "c": np.array(["new"], object)})
        array([[0., 0., 0., 0.]], dtype=float32)

    Source: Hastie, Tibshirani & Friedman 2009, section 7.10.2: no statistic of other parts.
    """
    numbers, levels = {}, {}
    for name, column in inputs.items():
        if column.dtype == object:
            filled = ["" if value is None else value for value in column]
            found, counts = np.unique(filled, return_counts=True)
            often = sorted(zip(-counts, found.tolist(), strict=True))[:LEVELS]
            levels[name] = sorted(level for _, level in often)
            continue
        missing = np.isnan(column)
        median = float(np.median(column[~missing])) if not missing.all() else 0.0
        whole = np.where(missing, median, column)
        deviation = float(whole.std())
        numbers[name] = (
            median,
            float(whole.mean()),
            deviation if deviation > 0 else 1.0,
            bool(missing.any()),
        )
    return Encoder(numbers, levels)

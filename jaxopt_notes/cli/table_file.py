"""A file with data as columns: CSV, Parquet, NPY and NPZ, read without guessing what the columns mean.

A column is float64 with NaN where a number is missing, or objects (text) with `None` there; arrays of an NPZ
file keep the axes behind the first, for images. What is wrong with a file is said with its line.
"""

import csv
import decimal
import pathlib
from typing import Any

import numpy as np

from jaxopt_notes.cli.written import as_number

Columns = dict[str, np.ndarray]
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}  # in any case
INDEX = "__index_level_0__"  # what pandas calls the index of a data frame in Parquet; in CSV it has no name
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".npy", ".npz")


def read_columns(path: pathlib.Path, said: list[str] | None = None) -> Columns:
    """The columns of a file by name, all of one length.

    Arguments:
        path: .csv (also .tsv, .txt: comma, semicolon or tab, found out), .parquet, .npz or .npy.
        said: takes a sentence on each thing that was found out.

    Raises:
        ValueError: the file cannot be read, or is no table: rows of different lengths, no header, no rows,
            two columns of one name. ModuleNotFoundError: pyarrow is needed for Parquet and missing.
    """
    said = [] if said is None else said
    readers = {".parquet": _read_parquet, ".npy": _read_npy, ".npz": _read_npz}
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--data is {str(path)!r}, expected a file ending in {', '.join(SUFFIXES)}.")
    try:
        reader = readers.get(path.suffix.lower())
        columns = _read_csv(path, said) if reader is None else reader(path)
    except OSError as error:
        raise ValueError(f"--data is {str(path)!r}, which cannot be read ({error.strerror}).") from None
    except csv.Error as error:
        raise ValueError(f"--data is {str(path)!r}, which is no table in text ({error}).") from None
    lengths = {name: len(column) for name, column in columns.items()}
    if not lengths or not min(lengths.values()):
        raise ValueError(f"--data {str(path)!r} has no rows.")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"--data {str(path)!r} has arrays of lengths {lengths}, expected one for all.")
    return columns


def _encoding(path: pathlib.Path, said: list[str]) -> str:
    """How a text is encoded: as UTF-8, or UTF-16 if it begins so; else as Windows does it in the west."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        if b"\0" in data:
            raise ValueError(f"--data is {str(path)!r}, which is no text.") from None
        said.append("The file is no text in UTF-8 and was read as Windows-1252.")
        return "cp1252"
    return "utf-8-sig"


def _read_csv(path: pathlib.Path, said: list[str]) -> Columns:
    with path.open(newline="", encoding=_encoding(path, said), errors="replace") as file:
        first = file.readline()
        file.seek(0)
        rows = csv.reader(file, delimiter=max(",;\t", key=first.count))
        names = [name.strip() for name in next(rows, [])]
        if len(names) > 1 and not names[0]:
            names[0] = INDEX
        _check_header(path, names)
        values: list[list[str]] = [[] for _ in names]
        for row in rows:
            if not row:  # an empty line
                continue
            if len(row) != len(names):
                raise ValueError(
                    f"--data {str(path)!r}, line {rows.line_num}: {len(row)} fields, expected "
                    f"{len(names)}, as the header has."
                )
            for column, value in zip(values, row, strict=True):
                column.append(value.strip())
    return {name: as_column(column) for name, column in zip(names, values, strict=True)}


def _check_header(path: pathlib.Path, names: list[str]) -> None:
    if not names:
        raise ValueError(f"--data {str(path)!r} is empty.")
    if all(as_number(name) is not None for name in names):
        raise ValueError(
            f"--data {str(path)!r} begins with numbers, {', '.join(names[:3])}…, expected a line with the "
            "names of the columns."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"--data {str(path)!r} has several columns called {twice[0]!r}: rename all but one.")
    if "" in names:
        raise ValueError(f"--data {str(path)!r}: column {names.index('') + 1} of the header has no name.")


def as_column(values: list[str]) -> np.ndarray:
    """Text as numbers if all that is there are numbers, else as objects; missing is NaN, or `None`.

    Example:
        >>> as_column(["1", "", "2.5"]), as_column(["a", "NA"])
        (array([1. , nan, 2.5]), array(['a', None], dtype=object))
    """
    present = [None if value.lower() in MISSING else value for value in values]
    numbers = [np.nan if value is None else as_number(value) for value in present]
    if all(number is not None for number in numbers):
        return np.asarray(numbers, float)
    return _objects(present)


def _objects(values: Any) -> np.ndarray:
    column = np.empty(len(values), object)
    column[:] = values
    return column


def _read_parquet(path: pathlib.Path) -> Columns:
    try:
        from pyarrow import lib, parquet
    except ImportError as error:
        raise ModuleNotFoundError(
            "--data: Parquet files need pyarrow, which is not importable: pip install pyarrow, or save the "
            "table as CSV."
        ) from error
    try:
        table = parquet.read_table(path)
    except lib.ArrowException as error:
        raise ValueError(f"--data is {str(path)!r}, which is no Parquet file ({error}).") from None
    _check_header(path, table.column_names)
    return {name: _from_python(table[name].to_pylist()) for name in table.column_names}


def _from_python(values: list) -> np.ndarray:
    """Python objects, `None` for missing ones, as a column; lists of numbers as rows of an array."""
    there = [value for value in values if value is not None]
    if all(
        isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool) for value in there
    ):
        return np.asarray([np.nan if value is None else value for value in values], float)
    if there and all(isinstance(value, list) for value in values):
        return np.asarray(values, float)
    return _objects([None if value is None else str(value) for value in values])


def _read_npy(path: pathlib.Path) -> Columns:
    array = _load(path)
    if array.dtype.names:
        return {name: _from_array(array[name]) for name in array.dtype.names}
    if array.ndim != 2:
        raise ValueError(
            f"--data {str(path)!r} has shape {array.shape}, expected [rows, columns], named 0, 1, … on the "
            "command line; or an NPZ file with one array for the inputs and one for the target."
        )
    return {str(i): _from_array(array[:, i]) for i in range(array.shape[1])}


def _read_npz(path: pathlib.Path) -> Columns:
    with _load(path) as arrays:
        return {name: _from_array(arrays[name]) for name in arrays.files}


def _load(path: pathlib.Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"--data is {str(path)!r}, which NumPy cannot load ({error}).") from None


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.ndim and array.dtype.kind in "uif":
        return array.astype(float) if array.ndim == 1 else array
    if array.ndim == 1 and array.dtype.kind in "US":
        return as_column([str(value).strip() for value in array])
    if array.ndim == 1 and array.dtype.kind == "b":
        return _objects(array.astype(str).tolist())
    raise ValueError(
        f"--data has an array of {array.dtype} and shape {array.shape}, expected numbers or text."
    )

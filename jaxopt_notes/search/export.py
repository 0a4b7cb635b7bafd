"""The rows of a search's results as files and data frames."""

import csv
import json
import os
from typing import Any

import numpy as np

Rows = list[dict[str, Any]]


def write_csv(rows: Rows, path: str | os.PathLike) -> None:
    """A CSV file with a header line."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(_named(rows))


def write_json(head: dict[str, Any], rows: Rows, path: str | os.PathLike) -> None:
    """A JSON object of a head and `rows`; numbers that are not finite are null."""
    plain = [{name: _plain(value) for name, value in row.items()} for row in _named(rows)]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**head, "rows": plain}, file, indent=2)
        file.write("\n")


def write_parquet(rows: Rows, path: str | os.PathLike) -> None:
    """A Parquet file, through polars, or through pandas and pyarrow.

    Raises:
        ModuleNotFoundError: neither can be imported.
    """
    try:
        frame = to_polars(rows)
    except ImportError:
        try:
            import pyarrow  # noqa: F401

            to_pandas(rows).to_parquet(path)
        except ImportError as error:
            raise ModuleNotFoundError(
                "Results.to_parquet() needs polars, or pandas and pyarrow, and neither is importable: "
                "pip install polars. to_csv() and to_json() need nothing."
            ) from error
    else:
        frame.write_parquet(path)


def to_pandas(rows: Rows) -> Any:
    """A pandas DataFrame."""
    import pandas

    return pandas.DataFrame(_named(rows))


def to_polars(rows: Rows) -> Any:
    """A polars DataFrame."""
    import polars

    return polars.DataFrame(_named(rows))


def show(value: Any) -> str:
    """A value for people: four digits, the name of a function.

    Example:
        >>> show(0.123456), show(np.tanh), show("relu")
        ('0.1235', 'tanh', 'relu')
    """
    return f"{value:.4g}" if isinstance(value, float) else getattr(value, "__name__", str(value))


def _named(rows: Rows) -> Rows:
    """The rows with names in place of functions."""
    return [{name: _named_value(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """A value as JSON has it: null for what is not finite."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _named_value(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else show(value)

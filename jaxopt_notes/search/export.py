"""A search's results as text, files and data frames."""

import contextlib
import csv
import importlib
import io
import json
import os
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np

from jaxopt_notes.search.names import own_names
from jaxopt_notes.serialization.atomic import replacing
from jaxopt_notes.training.step import NOT_FINITE

Rows = list[dict[str, Any]]


def headline(results: Any) -> str:
    """What the search was, and its best score, in one line."""
    n, runs = results.scores.shape
    folds = f" × {results.folds} folds" if results.folds > 1 else ""
    best = f", best {results.monitor} {score(results, results.order[0])}" if n else ""
    if n and not results.feasible.any():
        best = ", none of them feasible"
    elif results.others:
        names = " and ".join(results.monitors)
        best = f", {len(results.pareto_front())} of them on the Pareto front of {names}"
    return f"Results({n} configurations × {runs // results.folds} seeds{folds}{best})"


def summary(results: Any) -> str:
    """The headline, the best as a table, and which others are as good."""
    best = min(max(5, len(results.pareto_front())), 12) if results.others else 5
    lines = [headline(results), *([results.table(best)] if len(results) else [])]
    if equal := results.within_error():
        lines.append(
            f"within the error of the best, paired over runs: trial {', '.join(map(str, equal[:10]))}"
            + (f" and {len(equal) - 10} more" if len(equal) > 10 else "")
        )
    if results.others and results.feasible.any():
        lines.append(
            f"hypervolume {results.hypervolume():.4g}, up to the worst value of each that is feasible"
        )
    return "\n".join(lines)


def infeasible(results: Any) -> str | None:
    """That no configuration keeps all bounds, and which comes nearest; `None` if one does."""
    if not len(results) or results.feasible.any():
        return None
    nearest = int(results.order[0])
    found = [f"{name} {show(float(results.means[name][nearest]))}" for name in results.constraints]
    wanted = [bound_in_words(name, bound) for name, bound in results.constraints.items()]
    return (
        f"none of {len(results)} configurations keeps {' and '.join(wanted)}: the nearest, trial {nearest}, "
        f"has {' and '.join(found)}. Loosen the bounds, widen the space, or train more configurations."
    )


def not_finite(results: Any) -> str | None:
    """That no run began with a finite loss, and what that comes from; `None` if one did."""
    for name in ("loss", results.monitor):
        curve = results.history.get(name)
        if curve is not None and curve.ndim == 3 and curve.size and not np.isfinite(curve[..., 0]).any():
            return f"{name!r} is not finite in the first epoch of any run: {NOT_FINITE}"
    return None


def faults(results: Any) -> list[str]:
    """What makes a ranking worthless, a sentence each."""
    return [text for text in (not_finite(results), infeasible(results)) if text is not None]


def bound_in_words(name: str, bound: tuple[float | None, float | None]) -> str:
    """A bound as people write it.

    Example:
        >>> bound_in_words("parameters", (None, 5000.0)), bound_in_words("accuracy", (0.9, None))
        ('parameters ≤ 5000', 'accuracy ≥ 0.9')
    """
    low, high = bound
    if low is None or high is None:
        return f"{name} ≤ {high:g}" if low is None else f"{name} ≥ {low:g}"
    return f"{low:g} ≤ {name} ≤ {high:g}"


def table(results: Any, k: int) -> str:
    """The k best as aligned text, and a sentence if none is feasible."""
    names = results.score_names()
    own = own_names([*results.columns, *names.values()], "sweep", ["rank", "trial", *_judgements(results)])
    first = names.pop(results.monitor) + (" ± s.e." if results.folds > 1 else "")
    head = {name: own.pop(name) for name in ("rank", "trial")}
    lines = [[*head.values(), *results.columns, first, *names.values(), *own.values()]]
    judged, means = {name: _judgements(results)[name] for name in own}, results.means
    for rank, i in enumerate(results.ranked()[:k]):
        line = [str(rank + 1), str(i), *map(show, results.config(i).values()), score(results, i)]
        line += [show(as_written(means[name][i])) for name in names]
        lines.append(line + [str(column[i]) for column in judged.values()])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines)
    return "\n".join([text, *faults(results)])


def _judgements(results: Any) -> dict[str, list]:
    """What else is said of every trial: its front, counted from 1, and whether it keeps all bounds."""
    found: dict[str, list] = {"front": (results.fronts + 1).tolist()} if results.others else {}
    if results.constraints:
        found["feasible"] = ["yes" if fine else "no" for fine in results.feasible]
    return found


def score(results: Any, i: int) -> str:
    """A trial's score: mean ± deviation over seeds (standard error over folds), and how many diverged."""
    spread = (results.score_error if results.folds > 1 else results.score_std)[i]
    around = f" ± {spread:.2g}" if results.scores.shape[1] > 1 else ""
    lost = int((~results.finite[i]).sum())
    return f"{results.score_mean[i]:.4g}{around}" + (f" ({lost} diverged)" if lost else "")


def rows(results: Any) -> Rows:
    """Everything but the history, from the best to the worst."""
    runs = [f"score_{run}" for run in range(results.scores.shape[1])]
    error = ["score_error"] if results.folds > 1 else []
    names = ["rank", "trial", "score_mean", "score_std", *error, "diverged", *runs]
    judged, means = _judgements(results), results.means
    measured = {name: there for name, there in results.score_names().items() if name in results.measured}
    own = own_names([*results.columns, *measured.values()], "sweep", [*names, *judged])
    return [
        {
            own["rank"]: rank + 1, own["trial"]: int(i), **results.config(i),
            own["score_mean"]: float(results.score_mean[i]), own["score_std"]: float(results.score_std[i]),
            **{own[name]: float(results.score_error[i]) for name in error},
            **{there: float(means[name][i]) for name, there in measured.items()},
            **{own[name]: column[i] for name, column in judged.items()},
            own["diverged"]: int((~results.finite[i]).sum()),
            **{own[run]: float(value) for run, value in zip(runs, results.scores[i], strict=True)},
        }
        for rank, i in enumerate(results.order)
    ]  # fmt: skip


def as_written(value: Any) -> Any:
    """A value as people write it: the float32 nearest to 0.01 is 0.01, not 0.009999999776482582."""
    if isinstance(value, np.floating):
        return float(str(value))  # NumPy's shortest decimal that rounds to this number
    return value.item() if isinstance(value, np.generic) else value


def write_csv(rows: Rows, path: str | os.PathLike) -> None:
    """A CSV file with a header line."""
    with _text_file(path) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(_named(rows))


def write_json(head: dict[str, Any], rows: Rows, path: str | os.PathLike) -> None:
    """A JSON object of a head and `rows`; numbers that are not finite are null."""
    plain = [{name: _plain(value) for name, value in row.items()} for row in _named(rows)]
    with _text_file(path) as file:
        json.dump({**head, "rows": plain}, file, indent=2)
        file.write("\n")


@contextlib.contextmanager
def _text_file(path: str | os.PathLike) -> Iterator[TextIO]:
    """A text file that takes its place once it is whole, in a folder that is made if it is missing."""
    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()


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

            with replacing(path) as file:
                to_pandas(rows).to_parquet(file)
        except ImportError as error:
            raise ModuleNotFoundError(
                "Results.to_parquet() needs polars, or pandas and pyarrow, and neither is importable: "
                "pip install polars. to_csv() and to_json() need nothing."
            ) from error
    else:
        with replacing(path) as file:
            frame.write_parquet(file)


def _library(name: str) -> Any:
    """A library of data frames."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModuleNotFoundError(
            f"Results.to_{name}() needs {name}: pip install {name}. to_csv() and to_json() need nothing."
        ) from error


def to_pandas(rows: Rows) -> Any:
    """A pandas DataFrame."""
    return _library("pandas").DataFrame(_named(rows))


def to_polars(rows: Rows) -> Any:
    """A polars DataFrame."""
    return _library("polars").DataFrame(_named(rows))


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

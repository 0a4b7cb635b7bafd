"""The results of a search: columns, one row for each configuration, ranked by score.

Scores keep their seeds: [n, seeds]. A seed whose score is not finite has diverged. Configurations are
ranked by how many of their seeds diverged and then by the mean of the others, so that a diverged run
never wins and none is lost from the count; ties go to the one that was tried first.
"""

import csv
import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.record import check_choice, check_count
from jaxopt_notes.search.importance import edge_warnings, importance
from jaxopt_notes.search.models import predict_all
from jaxopt_notes.search.names import own_names, reserved_columns
from jaxopt_notes.search.spaces.distributions import Distribution


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """What a search found.

        order = sort by (seeds diverged, ± score_mean, trial)

    Arguments:
        columns: the configurations, name → array [n]; "optimizer/learning_rate" in a nested space.
        scores: [n, seeds].
        monitor: what the score is.
        mode: "min" if a small score is a good one, else "max".
        history: name → array [n, seeds, epochs], or nothing.
        reports: how the populations were run, a `Report` for each compiled program.
        space: the search space, for the shape and the constants of `best_config`; `None` if it is flat
            and has none.
        models: the trained members, by structure, where the sweep was told to keep them.

    Example:
        >>> columns = {"dropout": np.array([0.3, 0.35]), "batch": np.array([4, 4])}
        >>> results = Results(columns, np.array([[0.92], [0.923]]), "accuracy", "max")
        >>> results.best
        {'dropout': 0.35, 'batch': 4, 'accuracy': 0.923}
        >>> print(results.table())
        rank  trial  dropout  batch  accuracy
           1      1     0.35      4     0.923
           2      0      0.3      4      0.92

    Source: Goodfellow, Bengio & Courville 2016, section 11.4.

    Elsewhere: optuna's study and scikit-learn's cv_results_; both let a NaN score through as an error
    or as the last rank, neither counts diverged seeds.
    """

    columns: Mapping[str, np.ndarray]
    scores: np.ndarray
    monitor: str = "score"
    mode: str = "min"
    history: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    reports: tuple = ()
    space: Any = None
    models: tuple = ()

    def __post_init__(self) -> None:
        check_choice("Results(mode)", self.mode, ("min", "max"))
        if np.ndim(self.scores) != 2:
            raise ValueError(f"Results(scores) has shape {np.shape(self.scores)}, expected [n, seeds].")
        for name, column in self.columns.items():
            if len(column) != len(self.scores):
                raise ValueError(
                    f"Results(columns): {name} has {len(column)} rows and scores {len(self.scores)}, "
                    "expected as many."
                )

    def __getattr__(self, name: str) -> Any:
        hints = {
            "params": "results keep scores and histories, no parameters: fit(build(results.best_config), …), "
            "or sweep(…, keep_models=True) and results.predict(x)",
            "best_params": "results.best_config, or results.best by column",
            "best_score": "results.score_mean[results.order[0]]",
        }
        hint = f": {hints[name]}" if name in hints else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def finite(self) -> np.ndarray:
        """Which seeds did not diverge [n, seeds]."""
        return np.isfinite(self.scores)

    @property
    def diverged(self) -> int:
        """How many members diverged."""
        return int((~self.finite).sum())

    @property
    def score_mean(self) -> np.ndarray:
        """The mean over the seeds that did not diverge [n]; NaN where all did."""
        count = self.finite.sum(axis=1)
        total = np.where(self.finite, self.scores, 0.0).sum(axis=1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    @property
    def score_std(self) -> np.ndarray:
        """The standard deviation over the seeds that did not diverge (n − 1); 0 for fewer than two [n]."""
        count = self.finite.sum(axis=1)
        errors = np.where(self.finite, self.scores, 0.0) - np.nan_to_num(self.score_mean)[:, None]
        squares = np.where(self.finite, errors**2, 0.0).sum(axis=1)
        return np.sqrt(squares / np.maximum(count - 1, 1))

    @property
    def order(self) -> np.ndarray:
        """The configurations from the best to the worst [n]."""
        mean = -self.score_mean if self.mode == "max" else self.score_mean
        return np.lexsort((np.arange(len(self)), mean, (~self.finite).sum(axis=1)))

    @property
    def best(self) -> dict[str, Any]:
        """The best configuration by column, and its mean score under the name of the monitor.

        Beside a hyperparameter that is called like the monitor, the score is "score/<monitor>".
        """
        return self.top(1)[0]

    @property
    def best_config(self) -> Tree:
        """The best configuration in the shape of the space, constants included: what `build` takes."""
        row = self._config(self.order[0])
        if self.space is None:
            return row
        return jax.tree.map_with_path(
            lambda path, leaf: row[path_name(path)] if isinstance(leaf, Distribution) else leaf,
            self.space,
            is_leaf=lambda leaf: isinstance(leaf, Distribution),
        )

    def predict(self, x: Any) -> np.ndarray:
        """What every member says of inputs x [B, …], with its best parameters: [n, seeds, B, …].

        Raises:
            ValueError: the sweep did not keep its models, or their outputs differ in shape.
        """
        return predict_all(self.models, x, self.scores.shape)

    def epochs_trained(self, default: int = 0) -> np.ndarray:
        """The epochs that each trial was trained for, without those of the run it continued [n].

        Arguments:
            default: what a strategy that does not say it trains for.
        """
        reserved = reserved_columns(self)
        if "epochs" not in reserved:
            return np.full(len(self), default)
        total = np.asarray(reserved["epochs"])
        if "parent" not in reserved:
            return total
        parent = np.asarray(reserved["parent"])
        return total - np.where(parent < 0, 0, total[parent])

    def lineage(self, trial: int) -> list[int]:
        """The trials whose runs a trial continues, from the first one to itself."""
        line, parents = [int(trial)], reserved_columns(self).get("parent")
        while parents is not None and (parent := int(parents[line[0]])) >= 0:
            line.insert(0, parent)
        return line

    def top(self, k: int) -> list[dict[str, Any]]:
        """The k best (top-k), each as `best`."""
        chosen = self.order[: check_count("Results.top(k)", k, 1)]
        return [{**self._config(i), self._score_name(): float(self.score_mean[i])} for i in chosen]

    def table(self, k: int = 10) -> str:
        """The k best as aligned text: the mean score ± the standard deviation over seeds."""
        own = own_names(self.columns, "sweep", ["rank", "trial"])
        lines = [[*own.values(), *self.columns, self._score_name()]]
        several = self.scores.shape[1] > 1
        lost = (~self.finite).sum(axis=1)
        for rank, i in enumerate(self.order[: check_count("Results.table(k)", k, 1)]):
            score = f"{self.score_mean[i]:.4g}" + (f" ± {self.score_std[i]:.2g}" if several else "")
            score += f" ({lost[i]} diverged)" if lost[i] else ""
            lines.append([str(rank + 1), str(i), *map(_show, self._config(i).values()), score])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines)

    def rows(self) -> list[dict[str, Any]]:
        """Everything but the history, from the best to the worst: rank, trial, columns, scores.

        A hyperparameter that is called like one of these keeps its name, the other is then "sweep/rank", ….
        """
        seeds = [f"score_{seed}" for seed in range(self.scores.shape[1])]
        own = own_names(
            self.columns, "sweep", ["rank", "trial", "score_mean", "score_std", "diverged", *seeds]
        )
        return [
            {
                own["rank"]: rank + 1, own["trial"]: int(i), **self._config(i),
                own["score_mean"]: float(self.score_mean[i]), own["score_std"]: float(self.score_std[i]),
                own["diverged"]: int((~self.finite[i]).sum()),
                **{own[seed]: float(score) for seed, score in zip(seeds, self.scores[i], strict=True)},
            }
            for rank, i in enumerate(self.order)
        ]  # fmt: skip

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write `rows` to a CSV file with a header line."""
        rows = self.rows()
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({k: v if _is_number(v) else _show(v) for k, v in row.items()} for row in rows)

    def to_json(self, path: str | os.PathLike) -> None:
        """Write monitor, mode and `rows` to a JSON file; a score that is not finite is null."""
        rows = [{name: _plain(value) for name, value in row.items()} for row in self.rows()]
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"monitor": self.monitor, "mode": self.mode, "rows": rows}, file, indent=2)
            file.write("\n")

    def to_parquet(self, path: str | os.PathLike) -> None:
        """Write `rows` to a Parquet file, through polars or pandas.

        Raises:
            ModuleNotFoundError: neither polars nor pandas with a Parquet engine can be imported.
        """
        rows = [{n: v if _is_number(v) else _show(v) for n, v in row.items()} for row in self.rows()]
        try:
            import polars
        except ImportError:
            try:
                import pandas
                import pyarrow  # noqa: F401
            except ImportError as error:
                raise ModuleNotFoundError(
                    "Results.to_parquet() needs polars, or pandas and pyarrow, and neither is importable: "
                    "pip install polars. to_csv() and to_json() need nothing."
                ) from error
            pandas.DataFrame(rows).to_parquet(path)
        else:
            polars.DataFrame(rows).write_parquet(path)

    def to_optuna(self, storage: Any = None, study_name: str | None = None) -> Any:
        """An Optuna study of these trials; with `storage="sqlite:///sweep.db"` optuna-dashboard opens it."""
        from jaxopt_notes.interop.optuna_results import to_optuna

        return to_optuna(self, storage, study_name)

    def importance(self, method: str | None = None) -> dict[str, float]:
        """The share of the score's variance that each hyperparameter explains; see `search.importance`."""
        return importance(self, method)

    def edge_warnings(self) -> list[str]:
        """Hyperparameters whose best values lie at the edge of their range; see `search.importance`."""
        return edge_warnings(self)

    def plot(self) -> Any:
        """A matplotlib Figure: the score against each hyperparameter."""
        from jaxopt_notes.plots.sweep import plot_sweep

        return plot_sweep(self)

    def _score_name(self) -> str:
        """The monitor's name, unless a hyperparameter has it."""
        return own_names(self.columns, "score", [self.monitor])[self.monitor]

    def _config(self, i: int) -> dict[str, Any]:
        return {n: c[i].item() if isinstance(c[i], np.generic) else c[i] for n, c in self.columns.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers and strings as they are, null for what is not finite, names."""
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if _is_number(value) or isinstance(value, str) else _show(value)


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else getattr(value, "__name__", str(value))

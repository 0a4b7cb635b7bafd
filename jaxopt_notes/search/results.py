"""The results of a search: columns, one row for each configuration, ranked by score.

Scores keep their seeds: [n, seeds]. A seed whose score is not finite has diverged. Configurations are
ranked by how many of their seeds diverged and then by the mean of the others, so that a diverged run
never wins and none is lost from the count; ties go to the one that was tried first.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.record import check_choice, check_count
from jaxopt_notes.search import export
from jaxopt_notes.search.comparison import within_error
from jaxopt_notes.search.export import show
from jaxopt_notes.search.importance import edge_warnings, importance
from jaxopt_notes.search.models import TrainedGroup, predict_all
from jaxopt_notes.search.names import hyperparameters, own_names, reserved_columns
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.winner import Origin, epochs_to_best, outputs_of, trained_again
from jaxopt_notes.training.fit import FitResult


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
        origin: what the sweep was made of, for `best_trainer` and `refit`. Neither it nor
            `reports` is pickled.
        models: the trained networks by structure, of a sweep with `keep_params`.
        refitted: the winner trained again, of a sweep with `refit`.

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
    origin: Origin | None = None
    models: tuple[TrainedGroup, ...] = ()
    refitted: FitResult | None = None

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
            "params": "sweep(keep_params=…) keeps them: results.networks(trial); or results.refit()",
            "best_params": "results.networks()[0] after sweep(keep_params=…), or results.refit().params",
            "best_score": "results.score_mean[results.order[0]]",
        }
        hint = f": {hints[name]}" if name in hints else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __getstate__(self) -> dict[str, Any]:
        # Functions, data and devices stay where they are.
        return {**self.__dict__, "origin": None, "reports": ()}

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        n, seeds = self.scores.shape
        best = f", best {self.monitor} {self._score(self.order[0])}" if n else ""
        return f"Results({n} configurations × {seeds} seeds{best})"

    def __str__(self) -> str:
        """The five best as a table, and which of them are within each other's error."""
        lines = [repr(self), self.table(5)] if len(self) else [repr(self)]
        if equal := self.within_error():
            lines.append(
                f"within the error of the best, paired over seeds: trial {', '.join(map(str, equal[:10]))}"
                + (f" and {len(equal) - 10} more" if len(equal) > 10 else "")
            )
        return "\n".join(lines)

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

    def ranked(self) -> list[int]:
        """`order` with each run once: trials of one line with equal hyperparameters are one run."""
        if "parent" not in reserved_columns(self):
            return self.order.tolist()
        columns, seen, ranked = list(hyperparameters(self).values()), set(), []
        for i in self.order.tolist():
            run = (self.lineage(i)[0], *(str(column[i]) for column in columns))
            if run not in seen:
                seen.add(run)
                ranked.append(i)
        return ranked

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

    @property
    def best_trainer(self) -> Any:
        """`build(best_config)`: the best `Trainer`, not trained."""
        return self._known_origin("best_trainer").build(self.best_config)

    def refit(
        self,
        on: str = "train+validation",
        *,
        key: jax.Array | None = None,
        epochs: int | None = None,
        progress: bool | None = None,
    ) -> FitResult:
        """Train the best configuration once more.

        Arguments:
            on: "train+validation", without early stopping, for as many epochs as its runs took to their best
                (the mean over seeds, rounded up; all of them where the score is that of the last); or
                "train", with validation, as in the sweep.
            key: a typed random key; by default one made from the sweep's.
            epochs: another number of epochs on all data.
            progress: as in `fit`.

        Raises:
            ValueError: the results are not those of a sweep (or were pickled), or an unknown `on`.

        Source: Goodfellow, Bengio & Courville 2016, algorithm 7.2 (epochs in place of steps).

        Elsewhere: scikit-learn's `refit=True` trains on all data, for as long as the estimator says.
        """
        origin = self._known_origin("refit")
        epochs = epochs_to_best(self) if epochs is None else check_count("refit(epochs)", epochs, 1)
        return trained_again(self.best_trainer, origin, on, epochs, key, progress)

    def predict(self, x: Tree) -> Tree:
        """The outputs of the winner: refitted if the sweep did that, else the kept network of its best seed.

        Arguments:
            x: inputs [k, …], prepared as the sweep's data were.

        Returns:
            Outputs [k, …], without dropout.

        Raises:
            ValueError: the sweep neither kept its networks nor trained the winner again.
        """
        if self.refitted is not None:
            return self.refitted.predict(x)
        best = int(self.order[0])
        params, model_state = self.networks(best)
        scores = np.where(self.finite[best], self.scores[best], -np.inf if self.mode == "max" else np.inf)
        seed = int(scores.argmax() if self.mode == "max" else scores.argmin())
        params, model_state = jax.tree.map(lambda leaf: leaf[seed], (params, model_state))
        return outputs_of(self.best_trainer, params, model_state, x)

    def predict_all(self, x: Tree) -> np.ndarray:
        """What every member says of inputs x [k, …], with its best parameters: [n, seeds, k, …].

        Raises:
            ValueError: the sweep did not keep all networks, or their outputs differ in shape.
        """
        return predict_all(self.models, x, self.scores.shape)

    def networks(self, trial: int | None = None) -> tuple[Tree, Tree]:
        """The best parameters and model states of a trial's runs; every leaf has a first axis of seeds.

        Arguments:
            trial: by default the best one.

        Raises:
            ValueError: they were not kept.
        """
        wanted = int(self.order[0]) if trial is None else trial
        for group in self.models:
            if wanted in group.trials:
                return group.networks(wanted, self.scores.shape[1])
        raise ValueError(
            f"the networks of trial {wanted} were not kept: results.refit().predict(x), or "
            'sweep(refit="train+validation"), or sweep(keep_params="best").'
        )

    def within_error(self, level: float = 0.95) -> list[int]:
        """The trials that the seeds do not tell from the best one; see `search.comparison`."""
        return within_error(self, level)

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
        """The k best (top-k), each as `best`; a run that goes on as another trial counts once."""
        chosen = self.ranked()[: check_count("Results.top(k)", k, 1)]
        return [{**self._config(i), self._score_name(): float(self.score_mean[i])} for i in chosen]

    def table(self, k: int = 10) -> str:
        """The k best as aligned text: the mean score ± the standard deviation over seeds.

        A trial whose run goes on as another trial with the same hyperparameters stands there once, as the
        better of the two.
        """
        own = own_names(self.columns, "sweep", ["rank", "trial"])
        lines = [[*own.values(), *self.columns, self._score_name()]]
        for rank, i in enumerate(self.ranked()[: check_count("Results.table(k)", k, 1)]):
            lines.append([str(rank + 1), str(i), *map(show, self._config(i).values()), self._score(i)])
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
        export.write_csv(self.rows(), path)

    def to_json(self, path: str | os.PathLike) -> None:
        """Write monitor, mode and `rows` to a JSON file; a score that is not finite is null."""
        export.write_json({"monitor": self.monitor, "mode": self.mode}, self.rows(), path)

    def to_parquet(self, path: str | os.PathLike) -> None:
        """Write `rows` to a Parquet file, through polars or pandas.

        Raises:
            ModuleNotFoundError: neither polars nor pandas with a Parquet engine can be imported.
        """
        export.write_parquet(self.rows(), path)

    def to_pandas(self) -> Any:
        """`rows` as a pandas DataFrame; values that are neither numbers nor text by name."""
        return export.to_pandas(self.rows())

    def to_polars(self) -> Any:
        """`rows` as a polars DataFrame; values that are neither numbers nor text by name."""
        return export.to_polars(self.rows())

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

    def _known_origin(self, what: str) -> Origin:
        if self.origin is None:
            raise ValueError(
                f"Results.{what} needs the sweep's build and data, and these results have none (they were "
                "pickled, or made by hand): fit(build(results.best_config), key, data)."
            )
        return self.origin

    def _score(self, i: int) -> str:
        """A trial's score for people: mean ± standard deviation over seeds, and how many diverged."""
        spread = f" ± {self.score_std[i]:.2g}" if self.scores.shape[1] > 1 else ""
        lost = int((~self.finite[i]).sum())
        return f"{self.score_mean[i]:.4g}{spread}" + (f" ({lost} diverged)" if lost else "")

    def _score_name(self) -> str:
        """The monitor's name, unless a hyperparameter has it."""
        return own_names(self.columns, "score", [self.monitor])[self.monitor]

    def _config(self, i: int) -> dict[str, Any]:
        return {name: _as_written(column[i]) for name, column in self.columns.items()}


def _as_written(value: Any) -> Any:
    """A value as people write it: the float32 nearest to 0.01 is 0.01, not 0.009999999776482582."""
    if isinstance(value, np.floating):
        return float(str(value))  # NumPy's shortest decimal that rounds to this number
    return value.item() if isinstance(value, np.generic) else value

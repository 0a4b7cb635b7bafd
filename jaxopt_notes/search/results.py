"""The results of a search: columns, one row for each configuration, ranked by score.

Scores keep their seeds: [n, seeds]. A seed whose score is not finite has diverged. Configurations are
ranked by how many of their seeds diverged and then by the mean of the others, so that a diverged run
never wins and none is lost from the count; ties go to the one that was tried first (`ranking.py`, also for
several monitors and for constraints).
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.record import check_choice, check_count
from jaxopt_notes.search import export
from jaxopt_notes.search.comparison import one_standard_error, within_error
from jaxopt_notes.search.importance import edge_warnings, importance
from jaxopt_notes.search.models import TrainedGroup, predict_all
from jaxopt_notes.search.names import reserved_columns
from jaxopt_notes.search.ranking import Ranking
from jaxopt_notes.search.rule import Bounds
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.winner import KEPT, PARTS, Origin, epochs_to_best, gone_on, trained_again
from jaxopt_notes.training.fit import FitResult, outputs_of
from jaxopt_notes.training.trainer import Trainer


@dataclasses.dataclass(frozen=True, eq=False)
class Results(Ranking):
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
        folds: of a cross-validation; there are seeds × folds scores of each trial, and [n, seeds] above is
            [n, seeds·folds].
        sizes: how much each of them counts in the mean, or `None` for all alike.
        models: the trained networks by structure, of a sweep with `keep_params`.
        refitted: the winner trained again, of a sweep with `refit`.
        measured: further values of all runs, name → [n, seeds]: those of further monitors, and those with
            bounds.
        others: further monitors, name → "min" or "max". `fronts`, `pareto_front()` and `hypervolume()` are of
            all of them, and within a front the first monitor, the score, ranks.
        constraints: bounds of mean values, name → (at least, at most), `None` for no bound. What keeps all of
            them is `feasible` and ranks first.

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
    folds: int = 1
    sizes: np.ndarray | None = None
    refitted: FitResult | None = None
    measured: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    others: Mapping[str, str] = dataclasses.field(default_factory=dict)
    constraints: Bounds = dataclasses.field(default_factory=dict)

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

    def __repr__(self) -> str:
        return export.headline(self)

    def __str__(self) -> str:
        """The five best as a table, and which others are as good."""
        return export.summary(self)

    @property
    def best(self) -> dict[str, Any]:
        """The best configuration by column, and its mean score under the name of the monitor.

        Beside a hyperparameter that is called like the monitor, the score is "score/<monitor>". Of several
        monitors all have their means in it, and it is the best of the Pareto front by the first of them.
        """
        return self.top(1)[0]

    @property
    def best_config(self) -> Tree:
        """The best configuration in the shape of the space, constants included: what `build` takes."""
        return self.config_of(int(self.order[0]))

    def config_of(self, trial: int) -> Tree:
        """A trial's configuration in the shape of the space, as `best_config`."""
        row = self.config(trial)
        if self.space is None:
            return row
        return jax.tree.map_with_path(
            lambda path, leaf: row[path_name(path)] if isinstance(leaf, Distribution) else leaf,
            self.space,
            is_leaf=lambda leaf: isinstance(leaf, Distribution),
        )

    @property
    def best_trainer(self) -> Trainer:
        """`build(best_config)`: the best `Trainer`, not trained."""
        return self._known_origin("best_trainer").build(self.best_config)

    def refit(
        self,
        on: str = "train+validation",
        *,
        keep: str = "epochs",
        trial: int | None = None,
        key: jax.Array | None = None,
        epochs: int | None = None,
        progress: bool | None = None,
    ) -> FitResult:
        """Train the best configuration, or another one, once more.

        Arguments:
            on: "train+validation", or "train", with validation and early stopping, as in the sweep.
            keep: what is kept of its runs when training on all data: how many "epochs" or "updates" they took
                to their best (the mean over seeds, rounded up; all of them where the score is that of the
                last), and training begins anew without early stopping; or the best "parameters", from which
                it goes on until the validation loss has come down to the training loss at that point. They
                are those of the best seed if the sweep has `keep_params`; else "train" comes first.
            trial: which one; by default the best.
            key: a typed random key; by default one made from the sweep's.
            epochs: another number of epochs than were best; of keep="parameters", how many at most, by
                default those of the sweep.
            progress: as in `fit`.

        Raises:
            ValueError: the results are not those of a sweep (or were pickled), an unknown `on` or `keep`, or
                "parameters" to keep of a cross-validation.

        Source: Goodfellow, Bengio & Courville 2016, algorithms 7.2 and 7.3; see `refit_on_all` and
        `continue_on_all`.

        Elsewhere: scikit-learn's `refit=True` trains on all data, for as long as the estimator says.
        """
        origin = self._known_origin("refit")
        check_choice("refit(on)", on, PARTS)
        check_choice("refit(keep)", keep, KEPT if on != "train" else KEPT[:1])
        trial = int(self.order[0]) if trial is None else trial
        epochs = None if epochs is None else check_count("refit(epochs)", epochs, 1)
        trainer = origin.build(self.config_of(trial))
        if not isinstance(trainer, Trainer):
            found = type(trainer).__name__
            raise TypeError(f"refit needs a build that returns a Trainer, and it returns a {found}.")
        if keep == "parameters":
            has_them = any(trial in group.trials for group in self.models)
            networks = self._best_network(trial) if has_them else None
            return gone_on(trainer, origin, networks, epochs or origin.epochs, key, progress)
        best_epoch = epochs_to_best(self, trial) if epochs is None else epochs
        return trained_again(trainer, origin, on, keep, best_epoch, key, progress)

    def predict(self, x: Tree) -> Tree:
        """The outputs of the winner: refitted if the sweep did that, else the kept network of its best seed.

        Arguments:
            x: inputs [k, …], as the sweep's data were: `preprocess` is applied here.

        Returns:
            Outputs [k, …], without dropout.

        Raises:
            ValueError: the sweep neither kept its networks nor trained the winner again.
        """
        if self.refitted is not None:
            return self.refitted.predict(self.prepared(x))
        if self.folds > 1:
            raise ValueError(
                "Results.predict after a cross-validation needs the winner trained on all data: "
                'results.refit(), or sweep(refit="train+validation").'
            )
        return outputs_of(self.best_trainer, *self._best_network(int(self.order[0])), x)

    def prepared(self, x: Tree) -> Tree:
        """Inputs as a sweep with `preprocess` prepares them, fitted to all its data; else as they are."""
        return x if self.origin is None else self.origin.prepared(x)

    def one_standard_error(self, name: str, simpler: str = "larger") -> dict[str, Any]:
        """The simplest configuration within one standard error of the best; see `search.comparison`."""
        return self._row(one_standard_error(self, name, simpler))

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
            ValueError: they were not kept, or there is no such trial.
        """
        wanted = int(self.order[0]) if trial is None else self.checked(trial)
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

    def top(self, k: int) -> list[dict[str, Any]]:
        """The k best (top-k), each as `best`; a run that goes on as another trial counts once."""
        chosen = self.ranked()[: check_count("Results.top(k)", k, 1)]
        return [self._row(i) for i in chosen]

    def table(self, k: int = 10) -> str:
        """The k best as aligned text: the mean score ± the standard deviation over seeds.

        A trial whose run goes on as another trial with the same hyperparameters stands there once, as the
        better of the two.
        """
        return export.table(self, check_count("Results.table(k)", k, 1))

    def rows(self) -> list[dict[str, Any]]:
        """Everything but the history, from the best to the worst: rank, trial, columns, scores.

        A hyperparameter that is called like one of these keeps its name, the other is then "sweep/rank", ….
        """
        return export.rows(self)

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

    def _best_network(self, trial: int) -> tuple[Tree, Tree]:
        """The parameters and the model state of a trial's best seed."""
        scores = np.where(self.finite[trial], self.scores[trial], -np.inf if self.mode == "max" else np.inf)
        seed = int(scores.argmax() if self.mode == "max" else scores.argmin())
        return jax.tree.map(lambda leaf: leaf[seed], self.networks(trial))

    def _known_origin(self, what: str) -> Origin:
        if self.origin is None:
            raise ValueError(
                f"Results.{what} needs the sweep's build and data, and these results have none (they were "
                "pickled, or made by hand): fit(build(results.best_config), key, data)."
            )
        return self.origin

    def _row(self, i: int) -> dict[str, Any]:
        names, means = self.score_names(), self.means
        return {**self.config(i), **{names[name]: export.as_written(mean[i]) for name, mean in means.items()}}

    def report(self, folder: str | os.PathLike, title: str = "Hyperparameter search") -> pathlib.Path:
        """Write one self-contained HTML page with pictures and all trials; its path."""
        from jaxopt_notes.plots.report import write_report

        return write_report(self, folder, title)

    def config(self, i: int) -> dict[str, Any]:
        """A trial's columns, with numbers as people write them."""
        i = self.checked(i)
        return {name: export.as_written(column[i]) for name, column in self.columns.items()}

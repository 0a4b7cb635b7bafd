"""The main job: random search for a small network on scikit-learn's digits.

Configurations × seeds are trained as one population; the winner by mean validation accuracy is trained
again on training and validation set together, and scored once on the sealed test set. Nothing here
is special: it is `sweep`, a `Trainer` and a `SealedTestSet`, as a user would put them together.
"""

import dataclasses
import inspect
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_notes.data import SealedTestSet, digits, fit_standardizer, split
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers import mlp
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.metrics import accuracy
from jaxopt_notes.optimizers import OPTIMIZERS, chain, clip_by_global_norm, weight_decay
from jaxopt_notes.record import Number, check_choice
from jaxopt_notes.schedules import cosine
from jaxopt_notes.search import dimensions, log_uniform, random_search, sweep, uniform
from jaxopt_notes.search.export import Rows
from jaxopt_notes.search.results import Results
from jaxopt_notes.studies.result import Figure, StudyResult
from jaxopt_notes.training import Trainer, predict
from jaxopt_notes.training.evaluation import metrics_of, score

__all__ = ["Outcome", "digits_sweep"]

# What each optimizer is searched over, beside the dimensions that all of them share.
RATES = {"sgd": (1e-3, 1.0), "adadelta": (1e-1, 10.0), "adagrad": (1e-3, 1e-1)}
COEFFICIENTS = {
    "momentum": uniform(0.5, 0.99),
    "rho": uniform(0.8, 0.99),
    "decay": uniform(0.8, 0.99),
    "b1": uniform(0.8, 0.98),
    "b2": uniform(0.9, 0.999),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome(StudyResult):
    """What the job found: the search, the winner's curves per seed, and the retrained winner."""

    results: Results
    curves: dict[str, np.ndarray]
    params: Tree
    standardizer: Any
    test_score: float
    steps_per_epoch: int

    def rows(self) -> Rows:
        return self.results.rows()

    def table(self) -> str:
        return f"{self.results.table(10)}\n\ntest score of the retrained winner: {self.test_score:.4f}"

    def plot(self) -> Figure:
        from jaxopt_notes.plots import plot_curves

        return plot_curves(self.curves, "the winner")


class Task(NamedTuple):
    """What the main job is done on.

    Arguments:
        parts: training, validation and test set, trees of arrays with the examples along the first axis.
        prepare: what is fitted to a part (a standardizer).
        apply: from that and a part to (x, y).
        builder: from that and a number of steps to the function from hyperparameters to a `Trainer`.
        metric, mode: by which the winner is chosen and scored.
        batch_size: examples per step.
    """

    parts: tuple
    prepare: Callable[[Any], Any]
    apply: Callable[[Any, Any], tuple]
    builder: Callable[[Any, int], Callable[[dict[str, Any]], Trainer]]
    metric: str
    mode: str
    batch_size: int

    def run(
        self, search_key: jax.Array, final_key: jax.Array, space: dict[str, Any], strategy: Any, *,
        epochs: int, **options: Any,
    ) -> Outcome:  # fmt: skip
        """Search, retrain the winner on all but the test set, score it once; options are those of `sweep`."""
        train, validation, test = self.parts
        sealed = SealedTestSet(test)
        fitted = self.prepare(train)
        prepared = tuple(self.apply(fitted, part) for part in (train, validation))
        steps = self._steps(prepared[0])
        results = sweep(
            self.builder(fitted, steps * epochs), space, prepared, strategy, epochs=epochs, key=search_key,
            monitor=f"valid_{self.metric}", mode=self.mode, at="last", **options,
        )  # fmt: skip

        # Statistics and parameters of the final model come from training and validation set together.
        both = jax.tree.map(lambda *parts: np.concatenate(parts), train, validation)
        fitted = self.prepare(both)
        final = self.apply(fitted, both)
        trainer = self.builder(fitted, self._steps(final) * epochs)(results.best_config)

        @jax.jit  # one program for all that is left
        def finish(trainer: Trainer, key: jax.Array, data: tuple, test: tuple) -> tuple[Tree, jax.Array]:
            state, _ = trainer.advance(trainer.init(key, data), data, epochs=epochs)
            outputs = predict(trainer.model, state.best_params, state.best_model_state, test[0])
            return state.best_params, score(metrics_of(trainer)[self.metric], outputs, test[1])

        params, tested = finish(trainer, final_key, final, self.apply(fitted, sealed.open()))
        curves = {name: values[results.order[0]] for name, values in results.history.items()}
        return Outcome(results, curves, params, fitted, float(tested), steps)

    def _steps(self, data: tuple) -> int:
        """In an epoch."""
        return -(-len(data[1]) // self.batch_size)


def default_space(optimizer: str = "adamw") -> dict[str, Any]:
    """The search space of the main job: what every optimizer shares, and its own coefficients.

    Arguments:
        optimizer: a name in `OPTIMIZERS`.

    Returns:
        A dict from names to distributions.

    Raises:
        ValueError: an optimizer that is not registered.

    Example:
        >>> sorted(default_space("momentum"))
        ['clip_norm', 'dropout', 'learning_rate', 'momentum', 'weight_decay']
    """
    check_choice("default_space(optimizer)", optimizer, tuple(OPTIMIZERS))
    arguments = inspect.signature(OPTIMIZERS[optimizer]).parameters
    own = {
        name: axis
        for name, axis in COEFFICIENTS.items()
        if name in arguments and arguments[name].default is not None
    }
    return {
        "learning_rate": log_uniform(*RATES.get(optimizer, (1e-4, 1e-1))),
        "dropout": uniform(0.0, 0.5),
        "weight_decay": log_uniform(1e-6, 1e-1),
        "clip_norm": log_uniform(0.1, 10.0),
        **own,
    }


def builder(optimizer: str, steps: int, batch_size: int) -> Callable[[dict[str, Number]], Trainer]:
    """The function from hyperparameters to a `Trainer` that the job searches over.

    The rate falls to zero along a cosine; the decay is multiplied by the rate, as in AdamW.
    """
    factory = OPTIMIZERS[optimizer]
    arguments = inspect.signature(factory).parameters

    def build(h: dict[str, Number]) -> Trainer:
        rate = cosine(h["learning_rate"], steps)
        own = {name: value for name, value in h.items() if name in arguments and name != "learning_rate"}
        parts = [clip_by_global_norm(h["clip_norm"]), factory(rate, **own)]
        if "weight_decay" not in own:
            parts.append(weight_decay(h["weight_decay"], rate))
        return Trainer(
            model=mlp([64, 64, 10], dropout=h["dropout"]),
            optimizer=chain(*parts),
            loss=softmax_cross_entropy,
            metric=accuracy,
            batch_size=batch_size,
        )

    return build


def check_space(optimizer: str, space: dict[str, Any]) -> None:
    """Build the job at both ends of every dimension: what a factory refuses is said before training.

    Inside the compiled program numbers are traced, and a dropout of 2 would pass.

    Raises:
        ValueError: an end that a factory refuses.

    Example:
        >>> check_space("sgd", {**default_space("sgd"), "dropout": uniform(0.0, 2.0)})
        Traceback (most recent call last):
        ValueError: dropout(rate) is 2.0, expected a number in [0, 1]: …
    """
    build = builder(optimizer, 1, 1)
    ends = jax.jit(lambda: {name: axis.grid(2) for name, axis in dimensions(space).items()})()
    ends = {name: grid.tolist() for name, grid in ends.items()}
    start = {**space, **{name: values[0] for name, values in ends.items()}}
    build(start)
    for name, values in ends.items():
        for value in values:
            build({**start, name: value})


def digits_sweep(
    key: jax.Array,
    *,
    optimizer: str = "adamw",
    space: dict[str, Any] | None = None,
    configs: int = 64,
    seeds: int = 4,
    epochs: int = 30,
    batch_size: int = 32,
    strategy: Any = None,
    folder: str | os.PathLike | None = None,
    progress: Any = None,
    on_chunk: Any = None,
) -> Outcome:
    """Search, retrain the winner, score it once.

    Arguments:
        key: a typed random key; the outcome is a function of it and of the arguments.
        optimizer: a name in `OPTIMIZERS`.
        space: by default `default_space(optimizer)`; a dict of distributions and constants with the
            same names. `check_space` says whether its numbers are possible.
        configs: configurations drawn at random.
        seeds: members per configuration; each has its own initial parameters, order and dropout.
        epochs: epochs per member.
        batch_size: examples per step.
        strategy: in place of random search. Rates fall to zero over `epochs` epochs, so its runs should be
            no longer.
        folder, progress, on_chunk: as in `sweep`.

    Returns:
        An `Outcome`.

    Raises:
        ImportError: scikit-learn is missing. ValueError: an argument outside its interval.

    Source: Bergstra & Bengio 2012 for random search; the notes for a test set that is opened once.
    """
    split_key, search_key, final_key = jax.random.split(key, 3)
    task = Task(
        parts=split(split_key, digits()),
        prepare=lambda part: fit_standardizer(part[0]),
        apply=lambda standardizer, part: (standardizer.apply(part[0]), part[1]),
        builder=lambda _, steps: builder(optimizer, steps, batch_size),
        metric="accuracy", mode="max", batch_size=batch_size,
    )  # fmt: skip
    space = default_space(optimizer) if space is None else space
    return task.run(
        search_key, final_key, space, random_search(configs) if strategy is None else strategy,
        seeds=seeds, epochs=epochs, folder=folder, progress=progress, on_chunk=on_chunk,
    )  # fmt: skip

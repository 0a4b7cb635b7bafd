"""Cross-validation as one more axis of a sweep's population.

With `sweep(…, folds=5)` each configuration has seeds × 5 runs instead of seeds, all in the one program. The
data are there once: a run takes its batches through the indices of its fold (`Selected`), which costs 1% of a
small network's step; weights of 0 for what is left out would cost one step in k − 1 more. What prepares the
inputs is fitted in each fold to its training part alone, with weights, and applied to the batches. Where the
data are (x, y, weights), an example counts by its weight in all of these: in training, in the score of a fold
and how much that fold counts, and in what prepares the inputs.

A search that picks the best of many by cross-validation makes its score too good. `nested_cross_validation`
says what the search is worth: it is repeated on the training part of every outer fold, and its winner scored
on the part that neither it nor the search has seen.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.data.arrays import check_set
from jaxopt_notes.data.batches import take
from jaxopt_notes.data.folds import Folds, kfold_indices
from jaxopt_notes.data.selected import Selected
from jaxopt_notes.population.keys import check_key
from jaxopt_notes.record import check_count, check_takes, record

FOLD = "/fold"  # among the columns of members; no hyperparameter's path begins so


@record
class FoldData:
    """The folds of a data set, and what prepares the inputs of each: every leaf has a first axis of k."""

    folds: Folds
    prepare: Any

    def sizes(self, seeds: int) -> np.ndarray:
        """How much the runs of a trial count, seeds × folds: the sizes of their validation parts."""
        return np.tile(np.asarray(self.folds.validation_weights, np.float64).sum(axis=1), seeds)

    def of_fold(self, data: tuple, fold: jax.Array) -> tuple[tuple, tuple]:
        """The training and the validation data of one fold: (x, y, weights) each, without a copy."""
        own: FoldData = jax.tree.map(lambda leaf: leaf[fold], self)

        def part(rows: jax.Array, weights: jax.Array) -> tuple:
            return Selected(data[0], rows, own.prepare), Selected(data[1], rows), weights

        folds = own.folds
        return part(folds.train, folds.train_weights), part(folds.validation, folds.validation_weights)


def fold_data(where: str, folds: Any, preprocess: Callable | None, data: tuple, key: jax.Array) -> FoldData:
    """The folds that `sweep` was asked for.

    Arguments:
        where: the name of the function, for errors.
        folds: a number, dealt by key, with the proportions of classes kept where y are whole numbers; or
            `Folds`.
        preprocess: `fit(x, weights=w)`, which returns a record with `apply`; `None` for none.
        data: (x, y), or (x, y, weights).
        key: a typed random key.

    Returns:
        `FoldData`, whose folds have the weights of the data in them.
    """
    n = len(jax.tree.leaves(data)[0])
    if not isinstance(folds, Folds):
        y = data[1]
        classes = getattr(y, "ndim", 0) == 1 and jnp.issubdtype(y.dtype, jnp.integer)
        folds = kfold_indices(key, n, check_count(f"{where}(folds)", folds, 2), y if classes else None)
    if int(np.max(folds.train)) >= n or int(np.max(folds.validation)) >= n:
        raise ValueError(f"{where}(folds) has rows up to {int(np.max(folds.train))}, expected below n = {n}.")
    if len(data) == 3:
        folds = _weighted(where, folds, jnp.asarray(data[2]))
    if preprocess is None:
        return FoldData(folds, None)
    weights, _ = folds.weights(n)
    prepare = jax.jit(jax.vmap(lambda w: preprocess(data[0], weights=w)))(weights)
    if not callable(getattr(prepare, "apply", None)):
        raise TypeError(
            f"{where}(preprocess) returned a {type(prepare).__name__}, expected a record with apply(x), as "
            "fit_standardizer(x, weights=w) returns."
        )
    return FoldData(folds, prepare)


def _weighted(where: str, folds: Folds, weights: jax.Array) -> Folds:
    """The folds of examples that do not all count alike.

    Raises:
        ValueError: a part of a fold in which no example counts.
    """
    weights = weights.astype(folds.train_weights.dtype)
    folds = folds._replace(
        train_weights=folds.train_weights * weights[folds.train],
        validation_weights=folds.validation_weights * weights[folds.validation],
    )
    for name in ("train", "validation"):
        empty = np.flatnonzero(np.asarray(getattr(folds, f"{name}_weights")).sum(axis=1) == 0)
        if len(empty):
            raise ValueError(
                f"{where}(folds): in the {name} part of fold {empty[0]} all examples have weight 0, expected "
                "one that counts: leave such examples out of the data, or take fewer folds."
            )
    return folds


class NestedScores(NamedTuple):
    """What `nested_cross_validation` found: scores [outer folds], and the winners and results of each."""

    scores: np.ndarray
    configs: list
    results: list

    @property
    def mean(self) -> float:
        """The mean over outer folds."""
        return float(np.mean(self.scores))

    @property
    def standard_error(self) -> float:
        """Of the mean, from the spread over outer folds."""
        return float(np.std(self.scores, ddof=1) / np.sqrt(len(self.scores)))


def nested_cross_validation(
    search: Callable[..., Any], data: tuple, outer: Any = 5, *, key: jax.Array, score: str = "loss"
) -> NestedScores:
    """What a search that picks its winner by validation is worth on data that it has not seen.

        for each outer fold: winner ← search(training part);   score of the winner, refitted, on the rest

    Arguments:
        search: `search(data, key)` → `Results`: a sweep of the data with `folds`, or one that splits them.
        data: (x, y), or (x, y, weights).
        outer: the number of outer folds, or `Folds`.
        key: a typed random key.
        score: which of the winner's scores is taken: "loss", or the name of a metric of its Trainer.

    Returns:
        `NestedScores`: its mean estimates the score of the whole procedure, the search included.

    Raises:
        ValueError: an unknown score. See `sweep`.

    Example:
        >>> import jaxopt_notes as jn
        >>> x = jnp.linspace(-1, 1, 24)[:, None]
        >>> def build(h):
        ...     return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None)
        >>> def search(data, key):
        ...     return jn.sweep(build, {"rate": jn.choice([0.01, 0.5])}, data, jn.grid_search(2), folds=2,
        ...                     epochs=20, key=key, progress=False)
        >>> found = nested_cross_validation(search, (x, 2 * x), 2, key=jax.random.key(0))
        >>> [config["rate"] for config in found.configs], found.mean < 1e-3
        ([0.5, 0.5], True)

    Source: Stone 1974; Varma & Simon 2006; Cawley & Talbot 2010.

    Elsewhere: scikit-learn's `cross_val_score(GridSearchCV(…))`.
    """
    check_takes("nested_cross_validation(search)", search, 2, "search(data, key), which returns Results")
    check_key("nested_cross_validation(key)", key)
    check_set("nested_cross_validation(data)", data)
    outer = outer if isinstance(outer, Folds) else check_count("nested_cross_validation(outer)", outer, 2)
    folds = fold_data("nested_cross_validation", outer, None, data[:2], key).folds
    found: list[tuple] = []
    for i in range(len(folds.train)):
        kept = [np.asarray(w[i]) > 0 for w in (folds.train_weights, folds.validation_weights)]
        train = take(data, np.asarray(folds.train[i])[kept[0]])
        rest = take(data, np.asarray(folds.validation[i])[kept[1]])
        results = search(train, jax.random.fold_in(key, i))
        if not hasattr(results, "refit"):
            raise TypeError(
                f"nested_cross_validation(search) returned {results!r}, expected Results of a sweep."
            )
        scores = results.refit(progress=False).evaluate((results.prepared(rest[0]), *rest[1:]))
        if score not in scores:
            raise ValueError(
                f"nested_cross_validation(score) is {score!r}, expected one of {', '.join(sorted(scores))}."
            )
        found.append((scores[score], results.best_config, results))
    values, configs, every = zip(*found, strict=True)
    return NestedScores(np.asarray(values), list(configs), list(every))

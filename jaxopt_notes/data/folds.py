"""The folds of cross-validation, as indices with weights, or as weights of all samples.

`Folds` has a leading axis of k, which can be mapped: all folds train in one program. Rows of indices take
copies of the data; `folds.weights(n)` says instead, for all n samples in their own order, what each counts in
each fold, [k, n], so that one copy of the data serves all folds. Where folds are unequal, rows are filled up
with weight 0, and a mean over folds must weight them by size.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.data.dealing import check_groups, check_labels, deal_groups, shuffled_row
from jaxopt_notes.record import check_count


class Folds(NamedTuple):
    """Indices and weights of k folds, each [k, …]; a weight is 0 where a shorter row is filled up.

    Example:
        >>> folds = time_series_indices(4, 1)
        >>> folds.train, folds.weights(4)[0]
        (Array([[0, 1]], dtype=int32), Array([[1., 1., 0., 0.]], dtype=float32))
    """

    train: jax.Array
    train_weights: jax.Array
    validation: jax.Array
    validation_weights: jax.Array

    def weights(self, n: int) -> tuple[jax.Array, jax.Array]:
        """What each of all n samples counts in training and in validation: float32 [k, n] each."""

        def spread(indices: jax.Array, weights: jax.Array) -> jax.Array:
            return jnp.zeros(n, jnp.float32).at[indices].add(weights)

        train = jax.vmap(spread)(self.train, self.train_weights)
        return train, jax.vmap(spread)(self.validation, self.validation_weights)


def kfold_indices(key: jax.Array, n: int, k: int, labels: ArrayLike | None = None) -> Folds:
    """The folds of a k-fold cross-validation: every sample validates exactly once.

    Arguments:
        key: a `jax.random.key`; it may be traced.
        n: the number of samples, static.
        k: the number of folds, 2 … n, static; n is leave-one-out.
        labels: integer labels [n], to keep the proportions of the classes in every fold.

    Returns:
        `Folds(train, train_weights, validation, validation_weights)`, indices int32 and weights
        float32, [k, n − ⌊n/k⌋] and [k, ⌈n/k⌉]. The leading axis can be mapped, to train all folds in
        one program. Where k does not divide n, the larger and the smaller folds have rows of one
        length, filled up with weight 0: a mean over folds must weight them by size.

    Raises:
        ValueError: k or labels of a wrong size. TypeError: an argument is not a whole number.

    Example:
        >>> folds = kfold_indices(jax.random.key(0), n=6, k=3)
        >>> folds.train.shape, folds.validation.shape, sorted(folds.validation.flatten().tolist())
        ((3, 4), (3, 2), [0, 1, 2, 3, 4, 5])

    Source: Stone 1974.

    Elsewhere: scikit-learn's `KFold` and `StratifiedKFold` yield pairs of unequal lengths.
    """
    n, k = check_count("kfold_indices(n)", n, 2), check_count("kfold_indices(k)", k, 2)
    if k > n:
        raise ValueError(f"kfold_indices(k) is {k}, expected at most n = {n}, which is leave-one-out.")
    row = shuffled_row(key, n, None if labels is None else check_labels("kfold_indices(labels)", labels, n))
    return _of_row(row, np.arange(n) % k, k)


def repeated_kfold_indices(
    key: jax.Array, n: int, k: int, repeats: int, labels: ArrayLike | None = None
) -> Folds:
    """A k-fold cross-validation again and again, dealt anew each time: less depends on one deal.

    Arguments:
        key: a `jax.random.key`; it may be traced. The r-th time takes `fold_in(key, r)`.
        n, k, labels: see `kfold_indices`.
        repeats: how often, ≥ 1, static.

    Returns:
        `Folds` with a leading axis of repeats·k; every sample validates `repeats` times.

    Raises:
        ValueError, TypeError: see `kfold_indices`.

    Example:
        >>> repeated_kfold_indices(jax.random.key(0), n=6, k=3, repeats=4).validation.shape
        (12, 2)

    Source: Kohavi 1995. The folds of different deals overlap, so their scores are not independent.

    Elsewhere: scikit-learn's `RepeatedKFold` and `RepeatedStratifiedKFold`.
    """
    repeats = check_count("repeated_kfold_indices(repeats)", repeats, 1)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(repeats))
    folds = jax.vmap(lambda key: kfold_indices(key, n, k, labels))(keys)
    return Folds(*(array.reshape(-1, array.shape[-1]) for array in folds))


def grouped_kfold_indices(
    key: jax.Array, groups: ArrayLike, k: int, labels: ArrayLike | None = None
) -> Folds:
    """The folds of a k-fold cross-validation in which samples of one group stay together.

    Arguments:
        key: a `jax.random.key`, not traced; it decides between groups of equal size.
        groups: the group of each sample, [n]: numbers or names, not traced.
        k: the number of folds, from 2 to the number of groups, static.
        labels: integer labels [n], to keep the proportions of the classes as far as whole groups allow.

    Returns:
        `Folds`. The largest groups are dealt first, each to the fold that lacks most. Rows have the lengths
        of the largest training and validation set.

    Raises:
        ValueError: k exceeds the number of groups, labels of a wrong size. TypeError: something is traced.

    Example:
        >>> folds = grouped_kfold_indices(jax.random.key(0), np.array([0, 0, 0, 1, 1, 2]), k=2)
        >>> sorted(map(sorted, folds.validation.tolist()))
        [[0, 1, 2], [3, 4, 5]]

    Elsewhere: scikit-learn's `GroupKFold` and `StratifiedGroupKFold`.
    """
    groups, k = (
        check_groups("grouped_kfold_indices(groups)", groups),
        check_count("grouped_kfold_indices(k)", k, 2),
    )
    number = len(np.unique(groups))
    if k > number:
        raise ValueError(f"grouped_kfold_indices(k) is {k}, expected at most the number of groups, {number}.")
    if labels is not None:
        labels = np.asarray(check_labels("grouped_kfold_indices(labels)", labels, len(groups)))
    fold = deal_groups(key, groups, labels, np.full(k, 1 / k), largest_first=True)
    return _of_row(jnp.arange(len(groups), dtype=jnp.int32), fold, k)


def leave_one_out_indices(n: int) -> Folds:
    """Every sample validates a model that has been trained on all others.

    Arguments:
        n: the number of samples, ≥ 2, static.

    Returns:
        `Folds` with [n, n − 1] and [n, 1] indices, the i-th without the i-th sample.

    Raises:
        ValueError: fewer than two samples. TypeError: n is not a whole number.

    Example:
        >>> leave_one_out_indices(3).train
        Array([[1, 2],
               [0, 2],
               [0, 1]], dtype=int32)

    Source: Stone 1974. For ridge regression one fit says it all: Allen's PRESS, Σ(eᵢ/(1 − hᵢᵢ))².
    """
    n = check_count("leave_one_out_indices(n)", n, 2)
    return _of_row(jnp.arange(n, dtype=jnp.int32), np.arange(n), n)


def time_series_indices(n: int, k: int, *, size: int | None = None, gap: int = 0) -> Folds:
    """Folds in the order of time: each trains on everything before the samples that it validates on.

        validation: the last k blocks of m samples;   training: all before the block, less the gap

    Arguments:
        n: the number of samples, the earliest first, static.
        k: the number of folds, ≥ 1, static.
        size: m, by default ⌊n / (k + 1)⌋; static.
        gap: how many samples before each block nobody sees; static.

    Returns:
        `Folds`, the earliest first; training sets grow, and their rows are filled up with weight 0.

    Raises:
        ValueError: the first fold would have nothing to train on.

    Example:
        >>> folds = time_series_indices(6, 2)
        >>> folds.validation.tolist(), folds.train_weights.sum(axis=1).tolist()
        ([[2, 3], [4, 5]], [2.0, 4.0])

    Elsewhere: scikit-learn's `TimeSeriesSplit(k, test_size=m, gap=gap)`.
    """
    n, k = check_count("time_series_indices(n)", n, 2), check_count("time_series_indices(k)", k, 1)
    gap = check_count("time_series_indices(gap)", gap)
    size = n // (k + 1) if size is None else check_count("time_series_indices(size)", size, 1)
    starts = n - size * np.arange(k, 0, -1)
    if size == 0 or starts[0] - gap < 1:
        raise ValueError(
            f"time_series_indices(k) is {k} of {size} samples each, with a gap of {gap}: that leaves nothing "
            f"of n = {n} to train the first fold on; take fewer folds or smaller ones."
        )
    train = _filled([np.arange(start - gap) for start in starts])
    validation = _filled([np.arange(start, start + size) for start in starts])
    return _folds(jnp.arange(n, dtype=jnp.int32), train, validation)


def _of_row(row: jax.Array, fold: np.ndarray, k: int) -> Folds:
    """The folds of a row of samples, from the fold of each place."""
    train = _filled([np.flatnonzero(fold != i) for i in range(k)])
    validation = _filled([np.flatnonzero(fold == i) for i in range(k)])
    return _folds(row, train, validation)


def _folds(row: jax.Array, train: tuple, validation: tuple) -> Folds:
    return Folds(row[train[0]], jnp.asarray(train[1]), row[validation[0]], jnp.asarray(validation[1]))


def _filled(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of unequal lengths as one array, each filled up with its first entry, and weights."""
    length = max(map(len, rows))
    places = np.stack([np.pad(row, (0, length - len(row)), constant_values=row[0]) for row in rows])
    weights = np.stack([(np.arange(length) < len(row)).astype(np.float32) for row in rows])
    return places, weights

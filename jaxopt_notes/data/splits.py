"""Splits into training, validation and test set: at random, in proportion to classes, by groups, by time.

`split` deals out single samples, which is right where they are independent. Where several come from one
source (one patient, one speaker, one photograph cut in pieces) they must stay together, or the test set is
seen in training: `grouped_split`. Where the future is to be predicted from the past, no part may
know what comes after it: `time_ordered_split`. `leakage_report` looks for samples that two parts share.

`split` runs under `jit` and `vmap`, over keys: sizes are known before the key is.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.data.batches import take
from jaxopt_notes.data.dealing import (
    check_groups,
    check_labels,
    common_length,
    deal_groups,
    shuffled_row,
    spread,
)
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.record import check_count


class Split(NamedTuple):
    """Training, validation and test set, each a pair like the data."""

    train: Tree
    validation: Tree
    test: Tree


def split(
    key: jax.Array,
    data: Tree,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    *,
    stratify: bool = True,
) -> Split:
    """Split data into training, validation and test set.

    Arguments:
        key: a `jax.random.key`; the same key gives the same split.
        data: a pair `(x, y)` of arrays with a common leading axis [n, …].
        fractions: of the training, the validation and the test set; static, ≥ 0, their sum is 1.
            Sizes are n times these, rounded so that they add up to n.
        stratify: keep the proportions of the classes in every part (within two samples a class);
            y must be integer labels [n].

    Returns:
        `Split(train, validation, test)`: disjoint, together everything, each in random order.

    Raises:
        ValueError: fractions that do not form a partition, arrays of unequal length, labels not [n].
        TypeError: labels that are not integers (use `stratify=False` for regression).

    Example:
        >>> import jax.numpy as jnp
        >>> x, y = jnp.arange(20.0), jnp.repeat(jnp.arange(2), 10)
        >>> train, validation, test = split(jax.random.key(0), (x, y), (0.6, 0.2, 0.2))
        >>> [jnp.bincount(part[1]).tolist() for part in (train, validation, test)]
        [[6, 6], [2, 2], [2, 2]]

    Source: Goodfellow, Bengio & Courville 2016, section 5.3.

    Elsewhere: scikit-learn's `train_test_split(stratify=y)` makes two parts, and refuses classes with
    a single sample.
    """
    n = common_length("split(data)", data)
    sizes = _sizes("split", n, fractions)
    labels = check_labels("split(data)", data[1], n) if stratify else None
    return _dealt(key, data, labels, tuple(sizes.tolist()))


def grouped_split(
    key: jax.Array,
    data: Tree,
    groups: ArrayLike,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    *,
    stratify: bool = False,
) -> Split:
    """Split data so that samples of one group stay together.

    Arguments:
        key: a `jax.random.key`, not traced.
        data: a pair `(x, y)` of arrays with a common leading axis [n, …].
        groups: the group of each sample, [n]: numbers or names, not traced.
        fractions: of the training, the validation and the test set; see `split`.
        stratify: keep the proportions of the classes as far as whole groups allow; y must be integers [n].

    Returns:
        `Split(train, validation, test)`: no group is in two of them; each in random order. Groups are taken
        in random order, each for the part that lacks most: sizes are off by less than the largest group.

    Raises:
        ValueError: fractions that do not form a partition, arrays of unequal length.
        TypeError: groups or key are traced, or labels are not integers.

    Example:
        >>> x, patient = np.arange(12.0), np.repeat(["a", "b", "c", "d"], 3)
        >>> train, _, test = grouped_split(jax.random.key(0), (x, x), patient, (0.5, 0.25, 0.25))
        >>> len(train[0]), len(set(np.asarray(test[0]) // 3))
        (6, 1)

    Elsewhere: scikit-learn's `GroupShuffleSplit` counts groups, not samples.
    """
    n = common_length("grouped_split(data)", data)
    shares = _sizes("grouped_split", n, fractions) / n
    groups = check_groups("grouped_split(groups)", groups, n)
    labels = np.asarray(check_labels("grouped_split(data)", data[1], n)) if stratify else None
    part = deal_groups(jax.random.fold_in(key, 0), groups, labels, shares, largest_first=False)
    return _shuffled_parts(key, data, [np.flatnonzero(part == i) for i in range(3)])


def time_ordered_split(
    data: Tree, fractions: tuple[float, float, float] = (0.7, 0.15, 0.15), *, gap: int = 0
) -> Split:
    """Split data whose samples are in the order of time: train on the past, test on the future.

    Arguments:
        data: a pair `(x, y)` of arrays with a common leading axis [n, …], the earliest first.
        fractions: of the training, the validation and the test set; see `split`.
        gap: how many samples are left out at the end of the training and of the validation set, because what
            they know (a window, a target some steps ahead) reaches into the next part; static.

    Returns:
        `Split(train, validation, test)`, each in the order of time.

    Raises:
        ValueError: fractions that do not form a partition, arrays of unequal length, a negative gap.

    Example:
        >>> t = np.arange(10)
        >>> train, validation, test = time_ordered_split((t, t), (0.6, 0.2, 0.2), gap=1)
        >>> train[0].tolist(), validation[0].tolist(), test[0].tolist()
        ([0, 1, 2, 3, 4], [6], [8, 9])

    Elsewhere: scikit-learn's `TimeSeriesSplit` makes folds, as `time_series_indices` does.
    """
    n = common_length("time_ordered_split(data)", data)
    gap = check_count("time_ordered_split(gap)", gap)
    ends = np.cumsum(_sizes("time_ordered_split", n, fractions))
    starts = [0, *ends[:2]]
    lasts = [
        max(end - gap, start) if i < 2 else end
        for i, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    parts = [jax.tree.map(lambda a, s=s, e=e: a[s:e], data) for s, e in zip(starts, lasts, strict=True)]
    return Split(*parts)


@functools.partial(jax.jit, static_argnames="sizes")
def _dealt(key: jax.Array, data: Tree, labels: jax.Array | None, sizes: tuple[int, int, int]) -> Split:
    """The parts of these sizes, in one program: each of its operations would compile one by itself."""
    row = shuffled_row(jax.random.fold_in(key, 0), sum(sizes), labels)
    free = np.arange(sum(sizes))
    test = spread(free, sizes[2])
    free = np.setdiff1d(free, test)
    validation = spread(free, sizes[1])
    train = np.setdiff1d(free, validation)
    return _shuffled_parts(key, data, [row[places] for places in (train, validation, test)])


@jax.jit
def _shuffled_parts(key: jax.Array, data: Tree, rows: list) -> Split:
    return Split(
        *(
            take(data, jax.random.permutation(jax.random.fold_in(key, i), row))
            for i, row in enumerate(rows, start=1)
        )
    )


def _sizes(where: str, n: int, fractions: tuple[float, float, float]) -> np.ndarray:
    """n times the fractions, in whole numbers that add up to n: the largest remainders are rounded up."""
    shares = np.asarray(fractions, np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(
            f"{where}(fractions) is {fractions}, expected three numbers ≥ 0 whose sum is 1: "
            f"as in (0.7, 0.15, 0.15), or (0.8, 0.2, 0.0) for no test set."
        )
    exact = np.round(shares * n, 6)
    sizes = np.floor(exact).astype(int)
    sizes[np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]] += 1
    return sizes

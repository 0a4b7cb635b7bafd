"""Splits: into training, validation and test set, and into the folds of cross-validation.

Both deal out the samples like cards. The samples are shuffled; to stratify, they are then sorted by
class, and the row so made is turned by a random offset. Its places are dealt to the parts at even
distances, so that every stretch of the row, hence every class, goes to the parts in proportion.
This is systematic sampling with a random start: sizes are exact, each sample goes to a part with the
probability of that part, and which places go where is known before the key is. So a split runs under
`jit` and `vmap`, over keys.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.data.batches import take
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.record import check_count


class Split(NamedTuple):
    """Training, validation and test set, each a pair like the data."""

    train: Tree
    validation: Tree
    test: Tree


class Folds(NamedTuple):
    """Indices and weights of k folds, each [k, …]; a weight is 0 where a shorter row is filled up."""

    train: jax.Array
    train_weights: jax.Array
    validation: jax.Array
    validation_weights: jax.Array


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
        >>> x, y = jnp.arange(20.0), jnp.repeat(jnp.arange(2), 10)
        >>> train, validation, test = split(jax.random.key(0), (x, y), (0.6, 0.2, 0.2))
        >>> [jnp.bincount(part[1]).tolist() for part in (train, validation, test)]
        [[6, 6], [2, 2], [2, 2]]

    Source: Goodfellow, Bengio & Courville 2016, section 5.3.

    Elsewhere: scikit-learn's `train_test_split(stratify=y)` makes two parts, and refuses classes with
    a single sample.
    """
    n = _length("split(data)", data)
    sizes = _sizes(n, fractions)
    labels = _labels("split(data)", data[1], n) if stratify else None
    row = _row(jax.random.fold_in(key, 0), n, labels)
    free = np.arange(n)
    test = _spread(free, sizes[2])
    free = np.setdiff1d(free, test)
    validation = _spread(free, sizes[1])
    train = np.setdiff1d(free, validation)
    parts = [
        take(data, jax.random.permutation(jax.random.fold_in(key, i), row[places]))
        for i, places in enumerate((train, validation, test), start=1)
    ]
    return Split(*parts)


def kfold_indices(key: jax.Array, n: int, k: int, labels: Any = None) -> Folds:
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
    row = _row(key, n, None if labels is None else _labels("kfold_indices(labels)", labels, n))
    fold = np.arange(n) % k
    train = _filled([np.flatnonzero(fold != i) for i in range(k)])
    validation = _filled([np.flatnonzero(fold == i) for i in range(k)])
    return Folds(row[train[0]], jnp.asarray(train[1]), row[validation[0]], jnp.asarray(validation[1]))


def _row(key: jax.Array, n: int, labels: jax.Array | None) -> jax.Array:
    """The samples in random order; with labels, sorted by class and turned by a random offset."""
    row = jax.random.permutation(jax.random.fold_in(key, 0), jnp.arange(n, dtype=jnp.int32))
    if labels is None:
        return row
    row = row[jnp.argsort(labels[row], stable=True)]
    return jnp.roll(row, jax.random.randint(jax.random.fold_in(key, 1), (), 0, n))


def _spread(places: np.ndarray, count: int) -> np.ndarray:
    """`count` of the places, at even distances."""
    return places[(2 * np.arange(count) + 1) * len(places) // (2 * max(count, 1))]


def _filled(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of unequal lengths as one array, each filled up with its first entry, and weights."""
    length = max(map(len, rows))
    places = np.stack([np.pad(row, (0, length - len(row)), constant_values=row[0]) for row in rows])
    weights = np.stack([(np.arange(length) < len(row)).astype(np.float32) for row in rows])
    return places, weights


def _sizes(n: int, fractions: tuple[float, float, float]) -> np.ndarray:
    """n times the fractions, in whole numbers that add up to n: the largest remainders are rounded up."""
    shares = np.asarray(fractions, np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(
            f"split(fractions) is {fractions}, expected three numbers ≥ 0 whose sum is 1: "
            f"as in (0.7, 0.15, 0.15), or (0.8, 0.2, 0.0) for no test set."
        )
    exact = np.round(shares * n, 6)
    sizes = np.floor(exact).astype(int)
    sizes[np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]] += 1
    return sizes


def _length(where: str, data: Tree) -> int:
    lengths = {jnp.shape(array)[:1] for array in jax.tree.leaves(data)}
    if len(lengths) != 1 or () in lengths:
        shapes = ", ".join(str(jnp.shape(array)) for array in jax.tree.leaves(data))
        raise ValueError(f"{where} has arrays of shapes {shapes}, expected one common leading axis.")
    return lengths.pop()[0]


def _labels(where: str, labels: Any, n: int) -> jax.Array:
    labels = jnp.asarray(labels)
    if labels.shape != (n,):
        raise ValueError(
            f"{where} has labels of shape {labels.shape}, expected ({n},): one-hot rows become labels by "
            f"y.argmax(-1), and stratify=False (labels=None for folds) needs none."
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"{where} has labels of dtype {labels.dtype}, expected integers: use y.astype(int), or do not "
            f"stratify (stratify=False), as for regression."
        )
    return labels

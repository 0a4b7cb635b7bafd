"""How samples are dealt to parts: a row of them in random order, even places in it, whole groups.

To stratify, the row is sorted by class and turned by a random offset, and its places are dealt at even
distances, so that every class goes to the parts in proportion: systematic sampling with a random start.
Sizes are exact, each sample goes to a part with the probability of that part, and which places go where is
known before the key is.

Groups cannot be cut. One after the other goes where it is missed most, class by class if there are labels;
that needs their sizes, so groups, and the key, must be concrete.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.data.arrays import check_data
from jaxopt_notes.dtypes import Tree


def shuffled_row(key: jax.Array, n: int, labels: jax.Array | None) -> jax.Array:
    """The samples in random order; with labels, sorted by class and turned by a random offset."""
    row = jax.random.permutation(jax.random.fold_in(key, 0), jnp.arange(n, dtype=jnp.int32))
    if labels is None:
        return row
    row = row[jnp.argsort(labels[row], stable=True)]
    return jnp.roll(row, jax.random.randint(jax.random.fold_in(key, 1), (), 0, n))


def spread(places: np.ndarray, count: int) -> np.ndarray:
    """`count` of the places, at even distances."""
    return places[(2 * np.arange(count) + 1) * len(places) // (2 * max(count, 1))]


def deal_groups(
    key: jax.Array, groups: np.ndarray, labels: np.ndarray | None, shares: np.ndarray, largest_first: bool
) -> np.ndarray:
    """The part of each sample, int [n]: every group in one part, each part near its share of each class.

    A group goes to the part that lacks its samples most, argmaxₚ Σ_c (shareₚ·n_c − hasₚ_c)·count_c/n_c over
    the classes c.
    """
    _, group = np.unique(groups, return_inverse=True)
    classes = np.zeros(len(group), int) if labels is None else np.unique(labels, return_inverse=True)[1]
    counts = np.zeros((group.max() + 1, classes.max() + 1))
    np.add.at(counts, (group.ravel(), classes.ravel()), 1)
    totals = counts.sum(axis=0)
    order = np.asarray(jax.random.permutation(key, len(counts)))
    if largest_first:
        order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    part, lack = np.empty(len(counts), int), np.outer(shares, totals)
    for k in order:
        part[k] = np.argmax(lack @ (counts[k] / totals))
        lack[part[k]] -= counts[k]
    return part[group.ravel()]


def common_length(where: str, data: Tree) -> int:
    """The length of the leading axis that all arrays share."""
    check_data(where, data)
    lengths = {jnp.shape(array)[:1] for array in jax.tree.leaves(data)}
    if len(lengths) != 1 or () in lengths:
        shapes = ", ".join(str(jnp.shape(array)) for array in jax.tree.leaves(data))
        raise ValueError(f"{where} has arrays of shapes {shapes}, expected one common leading axis.")
    return lengths.pop()[0]


def check_labels(where: str, labels: ArrayLike, n: int | None) -> jax.Array:
    """Labels as integers [n]; without n, of whatever length they have."""
    labels = labels if isinstance(labels, jax.Array) else np.asarray(labels)
    if labels.dtype.kind in "OSUMm":
        raise TypeError(
            f"{where} has labels of dtype {labels.dtype}, expected integers: of names make them by "
            "names, y = np.unique(y, return_inverse=True)."
        )
    labels = jnp.asarray(labels)
    n = len(labels) if n is None and labels.ndim else n
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


def check_groups(where: str, groups: ArrayLike, n: int | None = None) -> np.ndarray:
    """Names or numbers of groups, [n], known now."""
    if isinstance(groups, jax.core.Tracer):
        raise TypeError(
            f"{where} is traced, expected an array whose numbers are known: sizes depend on them, so deal "
            f"groups outside jit."
        )
    groups = np.asarray(groups)
    if groups.ndim != 1 or groups.size == 0 or n not in (None, len(groups)):
        expected = "[n], one a sample" if n is None else f"({n},)"
        raise ValueError(f"{where} has shape {groups.shape}, expected {expected}: the group of each sample.")
    return groups

"""Balanced sampling: batches in which every class has as many samples, however rare it is.

Samples of a rare class come again and again, those of a frequent one by turns. Each class goes through its
own samples in random order, and through all of them before one comes again.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data.batches import Batches
from jaxopt_notes.data.dealing import check_labels
from jaxopt_notes.record import check_count


def balanced_batches(
    key: jax.Array, labels: ArrayLike, batch_size: int, classes: int, *, steps: int | None = None
) -> Batches:
    """An epoch of mini-batches in which all classes are alike.

        the i-th place has class i mod K, and of it the next sample of a random order

    Arguments:
        key: a `jax.random.key`, one for each epoch; it may be traced.
        labels: integers [n], 0 … C − 1; others are never drawn. They may be traced.
        batch_size: m, static.
        classes: C, static.
        steps: how many batches, static; by default ⌈n / m⌉.

    Returns:
        `Batches(indices, weights)`, int32 and float32, both [steps, batch_size], as `epoch_batches`; all
        weights are 1. In a batch the numbers of samples of two classes (that occur) differ by one at most.

    Raises:
        ValueError: no sample, no batch size. TypeError: sizes or labels that are not whole numbers.

    Example:
        >>> labels = jnp.array([0, 0, 0, 0, 0, 0, 1, 1])
        >>> batches = balanced_batches(jax.random.key(0), labels, batch_size=4, classes=2)
        >>> labels[batches.indices].sum(axis=1)
        Array([2, 2], dtype=int32)

    To train on them, make them anew for each epoch: `fit` takes a function of the epoch,
    `lambda epoch: (take(data, rows) for rows in balanced_batches(fold_in(key, epoch), …).indices)`.

    Elsewhere: torch's `WeightedRandomSampler` draws each sample apart; imbalanced-learn's
    `BalancedBatchGenerator` leaves samples of frequent classes out.
    """
    labels = check_labels("balanced_batches(labels)", labels, None)
    n = check_count("balanced_batches(labels), their number", labels.size, 1)
    size = check_count("balanced_batches(batch_size)", batch_size, 1)
    classes = check_count("balanced_batches(classes)", classes, 1)
    steps = -(-n // size) if steps is None else check_count("balanced_batches(steps)", steps, 1)

    of_order, of_class, of_offset = jax.random.split(key, 3)
    labels = jnp.where((labels >= 0) & (labels < classes), labels, classes)  # no class: last in the row
    row = jax.random.permutation(of_order, jnp.arange(n, dtype=jnp.int32))
    row = row[jnp.argsort(labels[row], stable=True)]
    counts = jnp.zeros(classes + 1, jnp.int32).at[labels].add(1)[:classes]
    first = jnp.cumsum(counts) - counts

    # The classes that occur, in random order, before the others.
    order = jnp.argsort(jnp.where(counts > 0, jax.random.uniform(of_class, (classes,), jnp.float32), 2))
    present = jnp.maximum(jnp.sum(counts > 0, dtype=jnp.int32), 1)
    place = jnp.arange(steps * size, dtype=jnp.int32) + jax.random.randint(of_offset, (), 0, present)
    chosen = order[place % present]
    indices = row[first[chosen] + place // present % jnp.maximum(counts[chosen], 1)]
    indices = indices.reshape(steps, size)
    return Batches(indices, jnp.ones(indices.shape, jnp.float32))

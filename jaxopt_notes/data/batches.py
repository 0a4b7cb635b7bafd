"""Mini-batches: an epoch is one random partition of the samples, as an array of indices.

No iterator and no copy of the data: `epoch_batches` returns indices, and the training step takes its
samples where they are, on the device.

    def epoch(params, key):
        batches = epoch_batches(key, n, batch_size)
        def step(params, batch):
            x, y = take(data, batch.indices)
            ...weighted_mean(loss(outputs, y), batch.weights)...
        return lax.scan(step, params, batches)

When n is not a multiple of the batch size, the last batch is filled up with samples of weight 0. So it
counts by its size, and each sample counts once an epoch. The filling are samples from the beginning of
the epoch, so it is data like all other; what a layer computes of the whole batch, as batch norm does, leaves
it out where the loop says so (`mask_batch`), as a `Trainer` does.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.data.selected import is_selected
from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.record import check_count
from jaxopt_notes.sharding import rows_of


class Batches(NamedTuple):
    """An epoch: indices of samples and their weights, both [steps, batch_size]."""

    indices: jax.Array
    weights: jax.Array


def epoch_batches(key: jax.Array, n: int, batch_size: int, *, drop_last: bool = False) -> Batches:
    """One epoch of mini-batches: a random permutation of the samples, cut into batches.

        steps = ⌈n / m⌉, or ⌊n / m⌋ with drop_last

    Arguments:
        key: a `jax.random.key`, one for each epoch; it may be traced.
        n: the number of samples, static.
        batch_size: m, static.
        drop_last: leave out the samples that do not fill a batch: other samples each epoch, n mod m of them.

    Returns:
        `Batches(indices, weights)`, int32 and float32, both [steps, batch_size]; it can be scanned.
        Weights are 1, and 0 for the filling of the last batch.

    Raises:
        ValueError: no sample, no batch size, or with drop_last no whole batch.
        TypeError: n or batch_size is not a whole number.

    Example:
        >>> batches = epoch_batches(jax.random.key(0), n=5, batch_size=2)
        >>> batches.indices.shape, batches.weights.sum(axis=1)
        ((3, 2), Array([2., 2., 1.], dtype=float32))

    Source: Goodfellow, Bengio & Courville 2016, section 8.1.3, where m divides n.

    Elsewhere: `torch.utils.data.DataLoader(shuffle=True)` makes the last batch smaller.
    """
    n = check_count("epoch_batches(n)", n, 1)
    size = check_count("epoch_batches(batch_size)", batch_size, 1)
    steps = n // size if drop_last else -(-n // size)
    if steps == 0:
        raise ValueError(
            f"epoch_batches(batch_size) is {size}, expected at most n = {n}: else drop_last leaves nothing."
        )
    order = shuffled_indices(key, n)
    place = jnp.arange(steps * size, dtype=jnp.int32)
    weights = (place < n).astype(jnp.float32)
    return Batches(order[place % n].reshape(steps, size), weights.reshape(steps, size))


def shuffled_indices(key: jax.Array, n: int) -> jax.Array:
    """A random permutation of 0 … n − 1: `jax.random.permutation`, several times as fast.

        order ← order[positions sorted by fresh random bits], as often as 3·log₂ n bits need

    Arguments:
        key: a `jax.random.key`; it may be traced.
        n: how many, at least 1, static.

    Returns:
        int32 [n]. Other permutations than `jax.random.permutation` gives for the same key.

    Raises:
        ValueError: n is below 1. TypeError: n is not a whole number.

    Example:
        >>> order = shuffled_indices(jax.random.key(0), 5)
        >>> sorted(order.tolist())
        [0, 1, 2, 3, 4]

    Each word that is sorted holds the random bits above and the position below. So one array is sorted, where
    keys with values take XLA five times as long, and ties keep their order: the rounds are those of a radix
    sort by all their bits. No two words are equal, so the sort need not be stable, which is less work on TPU.

    Source: Goodfellow, Bengio & Courville 2016, section 8.1.3, and Knuth, "The Art of Computer
    Programming", volume 3, section 5.2.5.

    Elsewhere: `jax.random.permutation` makes rounds by the same rule, of 32 bits each.
    """
    n = check_count("shuffled_indices(n)", n, 1)
    width = (n - 1).bit_length()
    rounds = max(1, math.ceil(3 * math.log2(n) / (32 - width)))
    if rounds > 8:  # beyond some millions too few bits are left beside the position
        return jax.random.permutation(key, jnp.arange(n, dtype=jnp.int32))
    place = order = jnp.arange(n, dtype=jnp.uint32)
    for bits in as_vector(lambda shape: jax.random.bits(key, shape, jnp.uint32), (rounds, n)):
        words = lax.sort((bits >> width << width) | place, is_stable=False)
        order = order[words & ((1 << width) - 1)]
    return order.astype(jnp.int32)


def take(data: Tree, indices: Any) -> Tree:
    """The samples at `indices`, from every array of the data.

    Arguments:
        data: a pair `(x, y)`, or any tree of arrays, or of `Selected` rows of arrays, with a common leading
            axis.
        indices: integers of any shape, which replaces the leading axis.

    Example:
        >>> x, y = take((jnp.array([[1.0], [2.0], [3.0]]), jnp.array([0, 1, 2])), jnp.array([2, 0]))
        >>> y
        Array([2, 0], dtype=int32)
    """

    def samples(part: Any) -> Tree:
        return part[indices] if is_selected(part) else rows_of(part, indices)

    return jax.tree.map(samples, data, is_leaf=is_selected)

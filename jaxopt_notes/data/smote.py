"""SMOTE: new samples of rare classes, between samples of the class and their nearest neighbours.

It belongs to the training set alone: after the split, and inside each fold. Inputs should be scaled before,
since neighbours are found by distance.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.data.arrays import check_set
from jaxopt_notes.data.dealing import check_labels
from jaxopt_notes.dtypes import compute_dtype, is_float
from jaxopt_notes.numerics import power_of_two
from jaxopt_notes.population.keys import check_key
from jaxopt_notes.record import check_count


def smote(key: jax.Array, data: tuple, neighbors: int = 5) -> tuple[jax.Array, jax.Array]:
    """The training set with new samples, so that all classes have as many as the most frequent one.

        x_new = x + u·(x_n − x),   u ~ U(0, 1),   x_n: one of the k nearest of the class

    Arguments:
        key: a `jax.random.key`; class c takes `fold_in(key, c)`.
        data: `(x, y)`, x [n, …] and integer labels y [n], whose numbers are known (not traced).
        neighbors: k, ≥ 1, static.

    Returns:
        `(x, y)`: the samples given, then the new ones class by class. Dtypes stay; whole numbers are rounded.

    Raises:
        ValueError: a class that has to grow has no k other samples.
        TypeError: labels that are not integers, or traced.

    Example:
        >>> x, y = jnp.array([[0.0], [1.0], [2.0], [9.0], [10.0]]), jnp.array([0, 0, 0, 1, 1])
        >>> x, y = smote(jax.random.key(0), (x, y), neighbors=1)
        >>> y.tolist(), bool(9 <= x[5, 0] <= 10)
        ([0, 0, 0, 1, 1, 1], True)

    Source: Chawla et al. 2002, section 4.2.

    Elsewhere: imbalanced-learn's `SMOTE` has the same formula; it also refuses too small classes.
    """
    check_key("smote(key)", key)
    check_set("smote(data)", data)
    if len(data) != 2:
        raise TypeError("smote(data) has weights, expected (x, y): new samples would need weights, too.")
    x, labels = data
    if isinstance(labels, jax.core.Tracer):
        raise TypeError(
            "smote(data) has traced labels, expected an array whose numbers are known: how many samples are "
            "made depends on them; within jit use synthetic_samples for one class."
        )
    x, y = jnp.asarray(x), np.asarray(check_labels("smote(data)", labels, len(x)))
    k = check_count("smote(neighbors)", neighbors, 1)
    classes, counts = np.unique(y, return_counts=True)
    xs, ys = [x], [y]
    for c, count in zip(classes, counts, strict=True):
        wanted = int(counts.max() - count)
        if not wanted:
            continue
        if count <= k:
            raise ValueError(
                f"smote(neighbors) is {k}, but class {c} has {count} samples, expected more than {k}: take "
                f"fewer neighbors, or class_weights or balanced_batches, which make nothing new."
            )
        xs.append(synthetic_samples(jax.random.fold_in(key, int(c)), x[np.flatnonzero(y == c)], wanted, k))
        ys.append(np.full(wanted, c, y.dtype))
    return jnp.concatenate(xs), jnp.asarray(np.concatenate(ys))


def synthetic_samples(key: jax.Array, x: ArrayLike, count: int, neighbors: int = 5) -> jax.Array:
    """New samples between those of one class: what `smote` makes for each.

    Arguments:
        key: a `jax.random.key`; it may be traced.
        x: the samples of the class, [m, …] with m > k.
        count: how many to make, static.
        neighbors: k, static.

    Returns:
        [count, …] in the dtype of x. Each lies between a random sample and a random one of its k nearest.

    Raises:
        ValueError: too few samples.

    Example:
        >>> synthetic_samples(jax.random.key(0), jnp.array([[0.0], [1.0]]), 3, neighbors=1).shape
        (3, 1)
    """
    given, k = jnp.asarray(x), check_count("synthetic_samples(neighbors)", neighbors, 1)
    m = given.shape[0]
    if m <= k:
        raise ValueError(f"synthetic_samples(x) has {m} samples, expected more than neighbors = {k}.")
    x = given.astype(compute_dtype(given)).reshape(m, -1)
    centred = x - jnp.mean(x, axis=0, keepdims=True)  # else large offsets swamp small distances
    centred = centred / power_of_two(jnp.max(jnp.abs(centred), initial=0))  # the distances are squared
    squares = jnp.sum(jnp.square(centred), axis=1)
    products = jnp.matmul(centred, centred.T, precision=lax.Precision.HIGHEST)
    distances = squares[:, None] + squares[None] - 2 * products
    _, nearest = lax.top_k(-jnp.where(jnp.eye(m, dtype=bool), jnp.inf, distances), k)
    of_pair, of_share = jax.random.split(key)
    pair = jax.random.randint(of_pair, (count,), 0, m * k)
    share = jax.random.uniform(of_share, (count, 1), jnp.float32).astype(x.dtype)
    start = pair // k
    made = x[start] + share * (x[nearest[start, pair % k]] - x[start])
    made = made if is_float(given) else jnp.round(made)
    return made.astype(given.dtype).reshape(count, *given.shape[1:])

"""The bootstrap: data sets drawn from the data set itself, with replacement, as weights.

A sample that is drawn twice counts twice, so a bootstrap sample is a weight for each sample: the data stay
where they are, and the members of an ensemble train on one copy, mapped over the weights. What a member has
not drawn, about 37%, is out of its bag and judges it for free.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.record import check_count


class Bootstrap(NamedTuple):
    """Bootstrap samples: the draws, how often each sample was drawn, and which were never drawn.

    Example:
        >>> sample = bootstrap(jax.random.key(0), n=5)
        >>> float(sample.weights.sum()), bool(((sample.weights == 0) == (sample.out_of_bag == 1)).all())
        (5.0, True)
    """

    indices: jax.Array
    weights: jax.Array
    out_of_bag: jax.Array


def bootstrap(key: jax.Array, n: int, members: int | None = None) -> Bootstrap:
    """n draws from n samples, with replacement.

        P(never drawn) = (1 − 1/n)ⁿ → 1/e = 0.368

    Arguments:
        key: a `jax.random.key`; it may be traced. The i-th member takes `fold_in(key, i)`.
        n: the number of samples, ≥ 1, static.
        members: how many bootstrap samples, static; by default one, without a leading axis.

    Returns:
        `Bootstrap(indices, weights, out_of_bag)`, [n] or [members, n]: int32 the draws, and float32, for all
        samples in their own order, how often each was drawn and 1 where it never was.

    Raises:
        ValueError: n or members is below 1. TypeError: it is not a whole number.

    Example:
        >>> bootstrap(jax.random.key(0), n=100, members=9).weights.shape
        (9, 100)

    Source: Efron 1979; out of bag: Breiman 1996.

    Elsewhere: `sklearn.utils.resample` gives the draws.
    """
    n = check_count("bootstrap(n)", n, 1)

    def one(key: jax.Array) -> Bootstrap:
        indices = jax.random.randint(key, (n,), 0, n, jnp.int32)
        weights = jnp.zeros(n, jnp.float32).at[indices].add(1)
        return Bootstrap(indices, weights, (weights == 0).astype(jnp.float32))

    if members is None:
        return one(key)
    members = check_count("bootstrap(members)", members, 1)
    return jax.vmap(lambda i: one(jax.random.fold_in(key, i)))(jnp.arange(members))

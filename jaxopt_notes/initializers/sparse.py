"""Sparse initialization: each unit begins with a few inputs, whose weights are of any size.

With dense initialization the weights of a unit with many inputs are all tiny and units begin alike.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.draws import as_vector
from jaxopt_notes.initializers.initializer import Initializer, check_initializer
from jaxopt_notes.initializers.normal import normal
from jaxopt_notes.record import check_count, record, static

__all__ = ["Sparse", "sparse"]


@record
class Sparse:
    """See `sparse`."""

    connections: int = static()
    init: Initializer

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        if len(shape) < 2:
            raise ValueError(
                f"sparse()(shape) is {tuple(shape)}, expected a shape of rank 2 or more: a bias has no "
                "inputs to choose from, initialize it with zeros."
            )
        value_key, place_key = jax.random.split(key)
        values = self.init(value_key, tuple(shape), dtype)
        by_output = (math.prod(shape[:-1]), shape[-1])
        places = as_vector(lambda shape: jax.random.uniform(place_key, shape), by_output)
        rank = jnp.argsort(jnp.argsort(places, axis=0), axis=0)
        kept = (rank < self.connections).reshape(values.shape)
        return jnp.where(kept, values, jnp.zeros_like(values))


def sparse(connections: int = 15, init: Initializer = normal(1.0)) -> Sparse:
    """Weights of which each output has a fixed number that are not zero.

        W = M ⊙ init            M: for each output, `connections` ones at random places

    Arguments:
        connections: inputs of each output that count, ≥ 1; all, if it has fewer.
        init: what these weights are drawn from.

    Returns:
        A `Sparse` record, called `(key, shape, dtype=float32)`. All axes but the last are inputs.

    Raises:
        ValueError, TypeError: `connections` is not a whole number ≥ 1; when called, a shape of rank below 2.

    Example:
        >>> kernel = sparse(3)(jax.random.key(0), (100, 4))
        >>> (kernel != 0).sum(0)
        Array([3, 3, 3, 3], dtype=int32)

    Source: Martens 2010, section 5, with 15 connections.

    Elsewhere: torch's `sparse_` is told the fraction of zeros, and draws with 0.01.
    """
    return Sparse(check_count("sparse(connections)", connections, 1), check_initializer("sparse(init)", init))

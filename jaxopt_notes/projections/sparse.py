"""Points with few non-zeros."""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.projections.elements import together
from jaxopt_notes.record import Number, check_number

__all__ = ["project_sparse"]


def project_sparse(tree: Tree, k: Number) -> Tree:
    """The nearest point with at most k non-zeros: the k largest magnitudes stay.

        argmin ‖x − v‖² with ‖x‖₀ ≤ k

    Arguments:
        tree: of equal magnitudes the first ones stay.
        k: how many, ≥ 0, rounded to a whole number; may be traced.

    Example:
        >>> project_sparse(jnp.array([1.0, -3.0, 2.0]), 2)
        Array([ 0., -3.,  2.], dtype=float32)

    Source: Blumensath & Davies 2009.
    """
    check_number("project_sparse(k)", k, "[0, inf)")

    def largest(x: jax.Array, k: jax.Array) -> jax.Array:
        ranks = jnp.argsort(jnp.argsort(jnp.abs(x), descending=True))
        return jnp.where(ranks < jnp.clip(jnp.round(k), 0, x.size).astype(ranks.dtype), x, 0)

    return together(largest, tree, k)

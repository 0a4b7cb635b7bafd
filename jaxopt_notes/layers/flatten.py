"""Flatten: all axes but the batch into one, between convolutions and dense layers."""

import math

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.layer import WithoutParameters
from jaxopt_notes.record import record

__all__ = ["Flatten", "flatten"]


@record
class Flatten(WithoutParameters):
    """See `flatten`."""

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        return x.reshape(x.shape[0], math.prod(x.shape[1:])), state


def flatten() -> Flatten:
    """Every axis but the first into one, in row-major order.

        y[b] = vec(x[b])

    Returns:
        A `Flatten` record, from [B, ...] to [B, product of the rest].

    Example:
        >>> import jax.numpy as jnp
        >>> y, _ = flatten().apply({}, (), jnp.ones((2, 4, 4, 3)))
        >>> y.shape
        (2, 48)

    Elsewhere: torch's `Flatten` orders channels first, NCHW; a dense kernel after it must be permuted
    to move here.
    """
    return Flatten()

"""The sum over what is penalised: floating-point leaves that a mask chooses.

A penalty is a sum of a function of each weight. The mask is structure: a function from the parameters
to a tree of bools, or `None` for every leaf. Leaves that are missing (`None`) or not real or complex
floating point never count.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float, is_none, real_dtype
from jaxopt_notes.masks import Mask, read_mask
from jaxopt_notes.numerics import abs_squared, power_of_two
from jaxopt_notes.record import Number


def chosen(params: Tree, mask: Mask | None = None) -> list[jax.Array]:
    """The weights that the mask chooses, in at least float32."""
    treedef: PyTreeDef
    leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
    kept = [True] * len(leaves) if mask is None else treedef.flatten_up_to(read_mask(mask, params))
    weights = [jnp.asarray(w) for w, keep in zip(leaves, kept, strict=True) if keep and is_float(w)]
    return [w.astype(compute_dtype(w)) for w in weights]


def common_dtype(weights: list[jax.Array]) -> np.dtype:
    """The real dtype in which a sum over these weights is taken."""
    return compute_dtype(*(jnp.zeros((), real_dtype(w.dtype)) for w in weights))


def sum_over(function: Callable[[jax.Array], jax.Array], params: Tree, mask: Mask | None = None) -> jax.Array:
    """Σ function(w) over every element w that the mask chooses, in at least float32.

    Example:
        >>> sum_over(jnp.square, {"kernel": jnp.array([[1.0, 2.0]]), "bias": None})
        Array(5., dtype=float32)
    """
    weights = chosen(params, mask)
    kind = common_dtype(weights)
    total = jnp.zeros((), kind)
    for w in weights:
        total = total + jnp.sum(function(w)).astype(kind)
    return total


def half_squares(strength: Number, params: Tree, mask: Mask | None = None) -> jax.Array:
    """½·λ·Σ|w|², right wherever it can be represented, although the squares cannot; the gradient is λ·w.

    Example:
        >>> half_squares(2e-20, jnp.array([1e19, 1e20])) < 1.1e20
        Array(True, dtype=bool)
    """
    weights = chosen(params, mask)
    return _half_squares(as_hyperparameter(strength).astype(common_dtype(weights)), weights)


@jax.custom_jvp
def _half_squares(strength: jax.Array, weights: list[jax.Array]) -> jax.Array:
    largest = [jnp.max(jnp.abs(w), initial=0).astype(strength.dtype) for w in weights]
    unit = power_of_two(jnp.max(jnp.stack([jnp.zeros_like(strength), *largest])))
    total = jnp.zeros_like(strength)
    for w in weights:
        total = total + jnp.sum(abs_squared(w / unit.astype(w.dtype))).astype(total.dtype)
    return 0.5 * (strength * unit) * total * unit


@_half_squares.defjvp
def _half_squares_jvp(primals: tuple, tangents: tuple) -> tuple:
    (strength, weights), (ds, dw) = primals, tangents
    value = _half_squares(strength, weights)
    slope = _half_squares(jnp.ones_like(strength), weights) * ds
    for w, d in zip(weights, dw, strict=True):
        slope = slope + jnp.sum(jnp.real((strength.astype(w.dtype) * jnp.conj(w)) * d)).astype(value.dtype)
    return value, slope

"""The sum over what is penalised: floating-point leaves that a mask chooses.

A penalty is a sum of a function of each weight. The mask is structure: a function from the parameters
to a tree of bools, or `None` for every leaf. Leaves that are missing (`None`) or not real or complex
floating point never count.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, compute_dtype, is_float, is_none, real_dtype
from jaxopt_notes.masks import Mask, read_mask


def sum_over(function: Callable[[jax.Array], jax.Array], params: Tree, mask: Mask | None = None) -> jax.Array:
    """Σ function(w) over every element w that the mask chooses, in at least float32.

    Example:
        >>> sum_over(jnp.square, {"kernel": jnp.array([[1.0, 2.0]]), "bias": None})
        Array(5., dtype=float32)
    """
    treedef: Any
    leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
    chosen = [True] * len(leaves) if mask is None else treedef.flatten_up_to(read_mask(mask, params))
    weights = [jnp.asarray(w) for w, keep in zip(leaves, chosen, strict=True) if keep and is_float(w)]
    kind: Any = compute_dtype(*(jnp.zeros((), real_dtype(w.dtype)) for w in weights))
    total = jnp.zeros((), kind)
    for w in weights:
        total = total + jnp.sum(function(w.astype(compute_dtype(w)))).astype(kind)
    return total

"""A number for every leaf, for formulas in which a mask reaches: some leaves decayed, some not.

`leafwise` hands the same scalars to all leaves. A tree of scalars that a mask makes of one number stands
beside the slots instead, and the formula returns it as it came.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import read_mask


def on_leaves(amount: Any, mask: Any, params: Tree) -> Tree:
    """The number on the leaves that the mask (None: all) selects, 0 on the others.

    Example:
        >>> from jaxopt_notes.masks import weights_only
        >>> tree = on_leaves(0.5, weights_only, {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)})
        >>> print(tree["kernel"], tree["bias"])
        0.5 0.0
    """
    amount = as_hyperparameter(amount)
    return jax.tree.map(lambda chosen: amount if chosen else jnp.zeros_like(amount), read_mask(mask, params))

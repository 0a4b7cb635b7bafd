"""L2-SP: fine-tuning stays near the point where it started, not near 0.

Weight decay pulls a pretrained network back to nothing. Here the decay of what was pretrained is towards its
pretrained value, and only new layers decay to 0.
"""

import jax
import jax.numpy as jnp
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree, as_hyperparameter, is_none
from jaxopt_notes.masks import Mask, MaskLike, as_mask, read_mask, weights_only
from jaxopt_notes.penalties.selection import half_squares
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["L2SP", "l2_sp"]


@record
class L2SP:
    """See `l2_sp`."""

    start: Tree
    strength: Number
    new_strength: Number
    mask: Mask | None = static()

    def __call__(self, params: Tree) -> jax.Array:
        treedef: PyTreeDef
        leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
        kept = treedef.flatten_up_to(read_mask(self.mask, params))
        before = treedef.flatten_up_to(self.start)
        chosen = [pair for pair, own in zip(zip(leaves, before, strict=True), kept, strict=True) if own]
        away = [leaf - jnp.asarray(old).astype(leaf.dtype) for leaf, old in chosen if old is not None]
        new = [leaf for leaf, old in chosen if old is None]
        strength, new_strength = as_hyperparameter(self.strength), as_hyperparameter(self.new_strength)
        first, second = half_squares(strength, away), half_squares(new_strength, new)
        kind = jnp.promote_types(first.dtype, second.dtype)
        return first.astype(kind) + second.astype(kind)


def l2_sp(
    start: Tree, strength: Number = 0.1, new_strength: Number = 0.01, mask: MaskLike = weights_only
) -> L2SP:
    """The L2-SP penalty: half the squared distance from the pretrained parameters.

        Ω(w) = ½α·‖w_S − w⁰_S‖² + ½β·‖w_new‖²

    Arguments:
        start: w⁰, a tree like the parameters, `None` for what is new; a leaf of the record. Copies: what is
            trained may be donated.
        strength: α ≥ 0.
        new_strength: β ≥ 0, of what is new.
        mask: what is penalised, as for `l2`; by default weights only.

    Returns:
        An `L2SP` record, called with the parameters; a scalar of at least float32.

    Raises:
        ValueError: a negative strength.

    Example:
        >>> start = {"body": jnp.array([[1.0, 2.0]]), "head": None}
        >>> print(l2_sp(start, 1.0, 0.5)({"body": jnp.array([[1.0, 4.0]]), "head": jnp.array([[2.0]])}))
        3.0

    Source: Li, Grandvalet & Davoine 2018, equation 3.

    Elsewhere: torch and Keras decay towards 0 only.
    """
    return L2SP(
        start,
        check_number("l2_sp(strength)", strength, "[0, inf)", "0 switches the penalty off"),
        check_number("l2_sp(new_strength)", new_strength, "[0, inf)", "0 switches the penalty off"),
        as_mask(mask),
    )

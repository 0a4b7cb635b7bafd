"""The group lasso: whole units, or whole inputs, are kept or dropped.

It is a sum of norms that are not squared: within a group it pulls like L2, between groups like L1. So its
proximal step makes zeros of all weights of a unit at once, and the unit can be left out.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask, weights_only
from jaxopt_notes.norms import norm_over
from jaxopt_notes.penalties.selection import chosen, common_dtype
from jaxopt_notes.projections.thresholds import GROUPS, group_axes
from jaxopt_notes.record import Number, check_choice, check_number, record, static

__all__ = ["GroupLasso", "group_lasso"]


@record
class GroupLasso:
    """See `group_lasso`."""

    strength: Number
    groups: str = static()
    mask: Mask | None = static()
    samples: Number = 1.0

    @property
    def amount(self) -> jax.Array:
        """λ/m."""
        return as_hyperparameter(self.strength) / as_hyperparameter(self.samples)

    def __call__(self, params: Tree) -> jax.Array:
        weights = chosen(params, self.mask)
        kind = common_dtype(weights)
        total = jnp.zeros((), kind)
        for w in weights:
            norms = norm_over(w, group_axes(self.groups, w.ndim))
            total = total + jnp.sum(norms).astype(kind) * (w.size / max(norms.size, 1)) ** 0.5
        return self.amount.astype(kind) * total


def group_lasso(
    strength: Number, groups: str = "units", mask: MaskLike = weights_only, *, samples: Number = 1.0
) -> GroupLasso:
    """The group lasso: the sum of the groups' norms, each times the root of its size.

        Ω(w) = (λ/m)·Σ_g √|g|·‖w_g‖₂          ∂Ω/∂w_g = (λ/m)·√|g|·w_g/‖w_g‖₂, and 0 at 0

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        groups: "units", all weights into one unit [..., u]; "inputs", all weights out of one input (or
            channel) [..., i, :], to select features; "leaves", a whole kernel. Static.
        mask: what is penalised, as for `l2`; by default weights only.
        samples: m ≥ 1, as for `l2`.

    Returns:
        A `GroupLasso` record, called with the parameters; a scalar of at least float32. Exact zeros come
        from `proximal_gradient` or `proximal`.

    Raises:
        ValueError: λ < 0, m < 1 or unknown groups. TypeError: an argument is not a number.

    Example:
        >>> kernel = jnp.array([[3.0, 0.0], [4.0, 0.0]])
        >>> round(float(group_lasso(1.0)(kernel)), 4), round(float(group_lasso(1.0, "inputs")(kernel)), 4)
        (7.0711, 9.8995)

    Source: Yuan & Lin 2006, equation 2.1; Wen et al. 2016 for units and channels of networks.

    Elsewhere: neither torch, optax nor scikit-learn has it.
    """
    return GroupLasso(
        check_number("group_lasso(strength)", strength, "[0, inf)", "0 switches the penalty off"),
        check_choice("group_lasso(groups)", groups, GROUPS),
        as_mask(mask),
        check_number("group_lasso(samples)", samples, "[1, inf)", "1 penalises as it is written"),
    )

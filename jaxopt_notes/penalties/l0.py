"""The L0 penalty: a price on every weight that is not zero.

It is constant wherever it is smooth, so a gradient sees nothing of it: what minimizes it is its proximal
operator, the hard threshold (`proximal_gradient`, `proximal`), or the constraint to k weights
(`iterative_hard_thresholding`, `magnitude_mask`).
"""

import jax

from jaxopt_notes.dtypes import Tree, as_hyperparameter, real_dtype
from jaxopt_notes.masks import Mask, MaskLike, as_mask, weights_only
from jaxopt_notes.penalties.selection import sum_over
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["L0", "l0", "l0_norm"]


@record
class L0:
    """See `l0`."""

    strength: Number
    mask: Mask | None = static()

    @property
    def amount(self) -> jax.Array:
        """λ."""
        return as_hyperparameter(self.strength)

    def __call__(self, params: Tree) -> jax.Array:
        count = sum_over(_is_nonzero, params, self.mask)
        return self.amount.astype(count.dtype) * count


def _is_nonzero(x: jax.Array) -> jax.Array:
    return (x != 0).astype(real_dtype(x.dtype))


def l0_norm(tree: Tree) -> jax.Array:
    """The number of entries that are not 0, of an array or of a whole tree.

        ‖x‖₀ = #{i : xᵢ ≠ 0}

    Arguments:
        tree: an array, or any tree; every floating-point leaf counts.

    Returns:
        A scalar of at least float32, with the gradient 0.

    Example:
        >>> import jax.numpy as jnp
        >>> l0_norm(jnp.array([1.0, -2.0, 0.0, -4.0]))
        Array(3., dtype=float32)

    Source: Donoho 2006.
    """
    return sum_over(_is_nonzero, tree)


def l0(strength: Number, mask: MaskLike = weights_only) -> L0:
    """The L0 penalty: the number of weights that are not zero.

        Ω(w) = λ·‖w‖₀          prox: w ← w if |w| > √(2ηλ) else 0

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        mask: what is penalised, as for `l2`; by default weights only.

    Returns:
        An `L0` record, called with the parameters; a scalar of at least float32, whose gradient is 0.

    Raises:
        ValueError: λ < 0. TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> l0(0.5)({"kernel": jnp.array([[1.0, -2.0, 0.0]]), "bias": jnp.array([5.0])})
        Array(1., dtype=float32)

    Source: Blumensath & Davies 2009.
    """
    return L0(check_number("l0(strength)", strength, "[0, inf)", "0 switches the penalty off"), as_mask(mask))

"""The orthogonality penalty: units of a layer whose weights point in different directions, with length 1.

A layer whose kernel has orthonormal columns changes no lengths of what comes back through it, so gradients
neither vanish nor explode. Where a kernel has more units than inputs its columns cannot all be orthogonal;
there it is the rows that are asked to be.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask, weights_only
from jaxopt_notes.numerics import abs_squared, precise_matmul
from jaxopt_notes.penalties.selection import chosen, common_dtype
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["Orthogonality", "orthogonality_penalty"]


@record
class Orthogonality:
    """See `orthogonality_penalty`."""

    strength: Number
    mask: Mask | None = static()

    def __call__(self, params: Tree) -> jax.Array:
        weights = chosen(params, self.mask)
        kind = common_dtype(weights)
        total = jnp.zeros((), kind)
        for w in weights:
            if w.ndim >= 2:
                total = total + _deviation(w.reshape(-1, w.shape[-1])).astype(kind)
        return as_hyperparameter(self.strength).astype(kind) * total


def _deviation(w: jax.Array) -> jax.Array:
    """‖G − I‖² of the smaller Gram matrix."""
    adjoint = jnp.conj(w.T)
    gram = precise_matmul(adjoint, w) if w.shape[0] >= w.shape[1] else precise_matmul(w, adjoint)
    return jnp.sum(abs_squared(gram - jnp.eye(len(gram), dtype=w.dtype)))


def orthogonality_penalty(strength: Number, mask: MaskLike = weights_only) -> Orthogonality:
    """The orthogonality penalty: how far kernels are from orthonormal columns (or rows).

        Ω(W) = λ·‖WᵀW − I‖²_F          ∂Ω/∂W = 4λ·W(WᵀW − I)

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        mask: what is penalised, as for `l2`; by default weights only. Leaves of rank < 2 never count.

    Returns:
        An `Orthogonality` record, called with the parameters; a scalar of at least float32. A kernel
        [..., units] is read as a matrix W [inputs, units]; with fewer inputs than units it is WWᵀ.

    Raises:
        ValueError: λ < 0. TypeError: an argument is not a number.

    Example:
        >>> orthogonality_penalty(1.0)({"kernel": jnp.array([[1.0, 1.0], [0.0, 0.0]])})
        Array(2., dtype=float32)

    Source: Bansal, Chen & Wang 2018, equation 1 ("soft orthogonality"); Brock et al. 2017.

    Elsewhere: Keras' `OrthogonalRegularizer` takes cosines, so it leaves the lengths alone.
    """
    remedy = "0 switches the penalty off"
    return Orthogonality(
        check_number("orthogonality_penalty(strength)", strength, "[0, inf)", remedy), as_mask(mask)
    )

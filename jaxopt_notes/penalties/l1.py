"""The L1 penalty, or lasso: a Laplace prior on the weights.

It pulls every weight towards 0 by the same amount, however small the weight. Its gradient jumps at
0, so gradient descent oscillates around 0 there; exact zeros come from a proximal step.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask, weights_only
from jaxopt_notes.penalties.selection import sum_over
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["L1", "l1", "l1_norm"]


@record
class L1:
    """See `l1`."""

    strength: Number
    mask: Mask | None = static()
    samples: Number = 1.0

    @property
    def amount(self) -> jax.Array:
        """λ/m."""
        return as_hyperparameter(self.strength) / as_hyperparameter(self.samples)

    def __call__(self, params: Tree) -> jax.Array:
        norm = sum_over(absolute, params, self.mask)
        return self.amount.astype(norm.dtype) * norm


def absolute(x: jax.Array) -> jax.Array:
    """|x| with the gradient sign(x), which is 0 at 0 (that of `jnp.abs` is 1 there).

    Example:
        >>> float(jax.grad(absolute)(0.0))
        0.0
    """
    return jnp.real(x * jnp.conj(lax.stop_gradient(jnp.sign(x))))


def l1_norm(tree: Tree) -> jax.Array:
    """The sum of absolute values of an array or of a whole tree, with the gradient 0 at 0.

        ‖x‖₁ = Σ|xᵢ|

    Arguments:
        tree: an array, or any tree; every floating-point leaf counts.

    Returns:
        A scalar of at least float32.

    Example:
        >>> l1_norm(jnp.array([1.0, -2.0, 0.0, -4.0]))
        Array(7., dtype=float32)

    Source: Tibshirani 1996.
    """
    return sum_over(absolute, tree)


def l1(strength: Number, mask: MaskLike = weights_only, *, samples: Number = 1.0) -> L1:
    """The L1 penalty: the sum of absolute values.

        Ω(w) = (λ/m)·‖w‖₁          ∂Ω/∂w = (λ/m)·sign(w), and 0 at 0

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        mask: what is penalised, as for `l2`; by default weights only.
        samples: m ≥ 1, the number of training samples where λ is given for all of them together.

    Returns:
        An `L1` record, called with the parameters; a scalar of at least float32.

    Raises:
        ValueError: λ < 0 or m < 1. TypeError: an argument is not a number.

    Example:
        >>> params = {"kernel": jnp.array([[1.0, -2.0, 0.0]]), "bias": jnp.array([5.0])}
        >>> l1(0.5)(params)
        Array(1.5, dtype=float32)
        >>> jax.grad(l1(0.5))(params)["kernel"]
        Array([[ 0.5, -0.5,  0. ]], dtype=float32)

    Source: Tibshirani 1996. At 0 the subdifferential is [−λ, λ];
    0 is the element of it that leaves a zero weight where it is.

    Elsewhere: Keras' `L1` is the same; scikit-learn's `Lasso` too, with half a mean squared error.
    """
    return L1(
        check_number("l1(strength)", strength, "[0, inf)", "0 switches the penalty off"),
        as_mask(mask),
        check_number("l1(samples)", samples, "[1, inf)", "1 penalises as it is written"),
    )

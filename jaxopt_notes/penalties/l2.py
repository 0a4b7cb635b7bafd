"""The L2 penalty, or Tikhonov regularization: a Gaussian prior on the weights.

It shrinks every weight in proportion to itself, so it makes weights small and none of them zero. It
adds λ to every curvature of the loss: a convex loss becomes strongly convex, and gradient descent on
it converges linearly.
"""

import jax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask, weights_only
from jaxopt_notes.norms import global_norm
from jaxopt_notes.penalties.selection import half_squares
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["L2", "l2", "l2_norm"]


@record
class L2:
    """See `l2`."""

    strength: Number
    mask: Mask | None = static()
    samples: Number = 1.0
    half: bool = static(default=True)

    @property
    def amount(self) -> jax.Array:
        """The factor of the gradient: λ/m, without the half 2λ/m."""
        strength = as_hyperparameter(self.strength) / as_hyperparameter(self.samples)
        return strength if self.half else 2 * strength

    def __call__(self, params: Tree) -> jax.Array:
        return half_squares(self.amount, params, self.mask)


def l2_norm(tree: Tree) -> jax.Array:
    """The Euclidean norm of an array or of a whole tree, with the gradient 0 at 0.

        ‖x‖₂ = √Σ|xᵢ|²

    Arguments:
        tree: an array, or any tree; every floating-point leaf counts.

    Returns:
        A scalar of at least float32.

    Example:
        >>> import jax.numpy as jnp
        >>> l2_norm(jnp.array([3.0, 4.0])), jax.grad(l2_norm)(jnp.zeros(2))
        (Array(5., dtype=float32), Array([0., 0.], dtype=float32))

    Source: Hoerl & Kennard 1970.

    Elsewhere: the gradient of `jnp.linalg.norm` at 0 is NaN. This is the global norm of a gradient.
    """
    return global_norm(tree)


def l2(strength: Number, mask: MaskLike = weights_only, *, samples: Number = 1.0, half: bool = True) -> L2:
    """The L2 penalty: half the sum of squares.

        Ω(w) = (λ/2m)·‖w‖₂²          ∂Ω/∂w = (λ/m)·w

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        mask: what is penalised: a function from the parameters to a tree of bools, such a tree, or
            `None` for every leaf; by default weights only, no biases.
        samples: m ≥ 1, the number of training samples where λ is given for all of them together, as in
            the form J + (λ/2m)‖w‖² for a cost J that is a mean; 1 gives ½λ‖w‖².
        half: whether there is the factor ½; without it the gradient is 2(λ/m)·w. Static.

    Returns:
        An `L2` record, called with the parameters; a scalar of at least float32. It is right wherever it
        can be represented, also for weights whose squares cannot.

    Raises:
        ValueError: λ < 0 or m < 1. TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([5.0])}
        >>> l2(0.1)(params)
        Array(0.25, dtype=float32)
        >>> jax.grad(l2(0.1))(params)["kernel"]
        Array([[ 0.1, -0.2]], dtype=float32)

    Source: Goodfellow et al. 2016, section 7.1.1. The
    pair of cost λ‖w‖² and gradient λw in the study notes is wrong by a factor 2.

    Elsewhere: `weight_decay=λ` of torch's SGD is this penalty. Keras' `L2(λ)` is λ‖w‖², `half=False`.
    """
    return L2(
        check_number("l2(strength)", strength, "[0, inf)", "0 switches the penalty off"),
        as_mask(mask),
        check_number("l2(samples)", samples, "[1, inf)", "1 penalises as it is written"),
        bool(half),
    )

"""The spectral penalty: a price on the largest singular value of every kernel.

That is the factor by which a layer can lengthen a difference between two inputs. The other singular values
are left alone, where L2 pulls at all of them.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask, weights_only
from jaxopt_notes.norms import norm_over
from jaxopt_notes.numerics import power_of_two, precise_matmul, precise_vdot, safe_divide
from jaxopt_notes.penalties.selection import chosen, common_dtype
from jaxopt_notes.record import Number, check_count, check_number, record, static

__all__ = ["Spectral", "largest_singular_value", "spectral_penalty"]


@record
class Spectral:
    """See `spectral_penalty`."""

    strength: Number
    steps: int = static()
    mask: Mask | None = static()

    def __call__(self, params: Tree) -> jax.Array:
        weights = [w for w in chosen(params, self.mask) if w.ndim >= 2 and w.size]
        kind = common_dtype(weights)
        total = jnp.zeros((), kind)
        for w in weights:
            total = total + largest_singular_value(w, self.steps).astype(kind) ** 2
        return 0.5 * as_hyperparameter(self.strength).astype(kind) * total


def largest_singular_value(kernel: jax.Array, steps: int = 20) -> jax.Array:
    """The largest singular value of a kernel, by power iteration from a fixed start.

        v ← WᵀWv/‖WᵀWv‖          σ = ‖Wv‖          ∂σ/∂W = u·vᵀ

    Arguments:
        kernel: [..., units], read as a matrix W [inputs, units].
        steps: iterations, static. The error falls as (σ₂/σ₁)^(4·steps) of σ itself; it is never too large.

    Returns:
        A real scalar in the dtype of the kernel, with the gradient 0 for a kernel of zeros.

    Example:
        >>> print(largest_singular_value(jnp.array([[0.0, 3.0], [0.5, 0.0]])))
        3.0

    Source: Yoshida & Miyato 2017, algorithm 1.
    """
    w = jnp.asarray(kernel)
    w = w.reshape(-1, w.shape[-1])
    fixed = lax.stop_gradient(w)
    fixed = fixed / power_of_two(jnp.max(jnp.abs(fixed))).astype(w.dtype)  # no square leaves the range
    rows = w.shape[1] <= w.shape[0]
    adjoint = jnp.conj(fixed.T)
    gram = precise_matmul(adjoint, fixed) if rows else precise_matmul(fixed, adjoint)

    def step(_: Any, v: jax.Array) -> jax.Array:
        return _unit(precise_matmul(gram, v))

    start = _unit(jax.random.normal(jax.random.key(0), (len(gram),), jnp.float32).astype(w.dtype))
    v = lax.fori_loop(0, steps, step, start)
    u = _unit(precise_matmul(fixed if rows else adjoint, v))
    left, right = (u, v) if rows else (v, u)
    return jnp.real(precise_vdot(left, precise_matmul(w, right)))


def _unit(v: jax.Array) -> jax.Array:
    return safe_divide(v, norm_over(v, (0,)).astype(v.dtype))


def spectral_penalty(strength: Number, mask: MaskLike = weights_only, *, steps: int = 20) -> Spectral:
    """The spectral penalty: half the square of every kernel's largest singular value.

        Ω(W) = ½·λ·Σ_l σ₁(W_l)²          ∂Ω/∂W = λ·σ₁·u₁v₁ᵀ

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        mask: what is penalised, as for `l2`; by default weights only. Leaves of rank < 2 never count.
        steps: power iterations, static; see `largest_singular_value`.

    Returns:
        A `Spectral` record, called with the parameters; a scalar of at least float32.

    Raises:
        ValueError: λ < 0 or steps < 1. TypeError: an argument is not a number.

    Example:
        >>> print(spectral_penalty(1.0)({"kernel": jnp.array([[0.0, 3.0], [0.5, 0.0]])}))
        4.5

    Source: Yoshida & Miyato 2017, equation 5.

    Elsewhere: `spectral_norm` divides by the same number, `project_spectral_ball` bounds it.
    """
    remedy = "0 switches the penalty off"
    return Spectral(
        check_number("spectral_penalty(strength)", strength, "[0, inf)", remedy),
        check_count("spectral_penalty(steps)", steps, 1),
        as_mask(mask),
    )

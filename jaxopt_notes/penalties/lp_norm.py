"""The family of Lᵖ norms, with the two that close it: the number of non-zeros, and the largest."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import as_hyperparameter, compute_dtype
from jaxopt_notes.penalties.l1 import absolute
from jaxopt_notes.record import Number, check_number

__all__ = ["lp_norm"]


def lp_norm(x: jax.Array, p: Number) -> jax.Array:
    """The Lᵖ norm of the elements of an array.

        ‖x‖ₚ = (Σ|xᵢ|ᵖ)^(1/p),      ‖x‖₀ = #{i : xᵢ ≠ 0},      ‖x‖∞ = max|xᵢ|

    Arguments:
        x: an array; all its axes count as one.
        p: in [0, inf]; it may be traced. Below 1 it is not a norm (no triangle inequality), at 0 not
            even homogeneous, but it keeps the name.

    Returns:
        A scalar in the dtype of |x|, computed in at least float32, with the gradient 0 at elements
        that are 0 (for p < 1 the true slope there is infinite).

    Raises:
        ValueError: p < 0. TypeError: an argument is not a number.

    Example:
        >>> x = jnp.array([1.0, -2.0, 0.0, -4.0])
        >>> [round(float(lp_norm(x, p)), 4) for p in (0, 0.5, 1, 2, float("inf"))]
        [3.0, 19.4853, 7.0, 4.5826, 4.0]

    Source: the study notes, corrected: for p = ½ the value is (1 + √2 + 2)² =
    19.4853, not 19.7052.

    Elsewhere: `jnp.linalg.norm(x, ord=p)` has the same values; its gradient at 0 is NaN for p = 2,
    and its `ord` is static.
    """
    p = as_hyperparameter(check_number("lp_norm(p)", p, "[0, inf]", "0 counts, inf takes the largest"))
    x = jnp.asarray(x)
    size = absolute(x)
    size = size.astype(compute_dtype(size))
    p = p.astype(size.dtype)
    finite = jnp.where((p > 0) & jnp.isfinite(p), p, 1)
    largest = jnp.max(size, initial=0)
    usable = (largest > 0) & jnp.isfinite(largest)  # 0 and inf are their own norm
    # No power overflows or vanishes; nor does a slope, as no quotient is differentiated by what divides it.
    scale = lax.stop_gradient(jnp.where(usable, largest, 1))
    nonzero = size > 0
    powers = jnp.where(nonzero, (jnp.where(nonzero, size, 1) / scale) ** finite, 0)
    total = jnp.where(usable, jnp.sum(powers), 1)
    norm = jnp.where(usable, scale * total ** (1 / finite), largest)
    norm = jnp.where(p == 0, jnp.sum(nonzero).astype(size.dtype), jnp.where(jnp.isinf(p), largest, norm))
    return norm.astype(absolute(x).dtype)

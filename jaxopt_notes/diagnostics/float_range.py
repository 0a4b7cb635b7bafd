"""Which numbers a narrower dtype would lose: to infinity, to zero, or to digits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter, is_float
from jaxopt_notes.record import Number, check_number

__all__ = ["FloatRange", "float_range"]


class FloatRange(NamedTuple):
    """What becomes of numbers in another dtype: shares of them, and the factors that are safe.

    Arguments:
        overflow: the share that is finite and would be infinite.
        underflow: the share that is not 0 and would be.
        subnormal: the share that would lose digits, below the least normal number, and is not lost.
        largest, smallest: the largest and the smallest magnitude that is not 0.
        limit: the largest number of the other dtype.

    Example:
        >>> found = float_range({"grads": jnp.array([1e-9, 1e-6, 0.0, 1e5])}, "float16")
        >>> print(found.overflow, found.underflow, found.subnormal)
        0.25 0.25 0.25
    """

    overflow: jax.Array
    underflow: jax.Array
    subnormal: jax.Array
    largest: jax.Array
    smallest: jax.Array
    limit: jax.Array

    @property
    def loss_scale(self) -> jax.Array:
        """The largest power of two that brings nothing to infinity: a static loss scale for gradients."""
        return jnp.exp2(jnp.floor(jnp.log2(self.limit / self.largest)))


def float_range(tree: Tree, dtype: DTypeLike = "float16", *, scale: Number = 1.0) -> FloatRange:
    """What would become of numbers (parameters, activations, gradients) in a narrower dtype.

        P(S·|x| > max),     P(0 < S·|x| rounds to 0),     P(S·|x| < least normal)

    Arguments:
        tree: arrays, of float32 or wider; what is not floating-point does not count.
        dtype: "float16", whose range is 6e-8 … 65504, "bfloat16", which has that of float32, ….
        scale: S > 0, a loss scale; may be traced.

    Returns:
        A `FloatRange`. XLA may set subnormal numbers to 0 on top of that.

    Raises:
        ValueError: scale ≤ 0.

    Example:
        >>> chain = 1.5 ** jnp.arange(27.0, 29.0)  # float16 ends before 1.5²⁸
        >>> for dtype in ("float16", "bfloat16"):
        ...     print(float_range(chain, dtype).overflow)
        0.5
        0.0

    Source: Micikevicius et al. 2018, "Mixed precision training", figure 2; the study notes.
    """
    check_number("float_range(scale)", scale, "(0, inf)")
    kind = jnp.result_type(float)
    leaves = [jnp.abs(jnp.asarray(x)).astype(kind).ravel() for x in jax.tree.leaves(tree) if is_float(x)]
    x = jnp.concatenate([jnp.zeros(0, kind), *leaves]) * as_hyperparameter(scale)
    limits = jnp.finfo(dtype)
    # Rounding to nearest: half a step above the largest number is infinite, half the least subnormal is 0.
    top = float(limits.max) + 2.0 ** (int(limits.maxexp) - int(limits.nmant) - 2)
    least = float(limits.smallest_subnormal) / 2
    finite, something = jnp.isfinite(x), x > 0
    shares = [
        finite & (x >= jnp.asarray(top, kind)), something & (x <= least),
        (x > least) & (x < float(limits.tiny)),
    ]  # fmt: skip
    overflow, underflow, subnormal = (jnp.sum(share, dtype=kind) / max(x.size, 1) for share in shares)
    largest = jnp.max(jnp.where(finite, x, 0), initial=0.0)
    smallest = jnp.min(jnp.where(something, x, jnp.inf), initial=jnp.inf)
    return FloatRange(overflow, underflow, subnormal, largest, smallest, jnp.asarray(float(limits.max), kind))

"""The simplex of shares that add up to a total, and the L1 ball, of which it is a side."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.projections.elements import check_real, direction, together
from jaxopt_notes.record import Number, check_number

__all__ = ["project_l1_ball", "project_simplex"]


def project_simplex(tree: Tree, total: Number = 1.0) -> Tree:
    """The nearest point that is a probability distribution, or another sum of shares.

        argmin ‖x − v‖² with x ≥ 0, Σxᵢ = total;          x = max(v − τ, 0)

    Arguments:
        tree: real numbers.
        total: the sum, > 0.

    Example:
        >>> project_simplex(jnp.array([1.0, 0.5, -3.0]))
        Array([0.75, 0.25, 0.  ], dtype=float32)

    Source: Held, Wolfe & Crowder 1974; Duchi et al. 2008, figure 1. O(n log n), by sorting.
    Elsewhere: `optax.projections.projection_simplex`, where the sum is `scale`.
    """
    check_number("project_simplex(total)", total, "(0, inf)")
    check_real("project_simplex", tree)
    return together(_onto_simplex, tree, total)


def _onto_simplex(values: jax.Array, total: jax.Array) -> jax.Array:
    """max(v − τ, 0) with τ such that it sums to the total.

    A constant added to all values changes nothing, so the largest is subtracted first: all that matters is
    then no larger than the total. τ is found twice, the second time from what the first has left, because
    its own rounding would count once for every positive share.
    """
    values = values - lax.stop_gradient(jnp.max(values))
    fixed, sum_ = lax.stop_gradient((values, total))
    falling = jnp.flip(jnp.sort(jnp.maximum(fixed, -sum_)))  # what is clipped is 0 in the end
    taus = (jnp.cumsum(falling) - sum_) / jnp.arange(1, values.size + 1, dtype=values.dtype)
    count = jnp.sum((falling > taus) & (falling > -sum_))
    tau = taus[jnp.maximum(count - 1, 0)]
    positive = (fixed > tau) | (fixed == 0)  # the largest one always, also of a total of 0
    excess = jnp.where(positive, values - tau, 0)
    shares = excess + (total - jnp.sum(excess)) / jnp.sum(positive).astype(values.dtype)
    return jnp.where(positive & (shares >= 0), shares, 0)


def project_l1_ball(tree: Tree, radius: Number = 1.0) -> Tree:
    """The nearest point of an L1 norm of at most r; it has zeros, as what an L1 penalty finds.

        x ← sign(x)·max(|x| − τ, 0), with τ ≥ 0 such that ‖x‖₁ ≤ r

    Arguments:
        radius: r ≥ 0.

    Example:
        >>> project_l1_ball(jnp.array([2.0, -1.5, 0.1]), 1.0)
        Array([ 0.75, -0.25,  0.  ], dtype=float32)

    Source: Duchi et al. 2008, section 4.
    Elsewhere: `optax.projections.projection_l1_ball`, where r is `scale`.
    """
    check_number("project_l1_ball(radius)", radius, "[0, inf)")

    def shrunk(x: jax.Array, r: jax.Array) -> jax.Array:
        size = jnp.abs(x)
        return jnp.where(jnp.sum(size) <= r, x, direction(x) * _onto_simplex(size, r).astype(x.dtype))

    return together(shrunk, tree, radius)

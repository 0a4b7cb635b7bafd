"""Thresholds, the proximal operators of penalties: what is small becomes 0, exactly.

    l1             λ‖w‖₁                     soft_threshold(v, ηλ)
    l0             λ‖w‖₀                     hard_threshold(v, √(2ηλ))
    l2             ½λ‖w‖²                    shrink(v, ηλ)
    elastic_net    λρ‖w‖₁ + ½λ(1−ρ)‖w‖²      elastic_net_threshold(v, ηλ, ρ)
    group_lasso    λ·Σ √|g|·‖w_g‖            group_threshold(v, ηλ)

`proximal_step` chooses among them by the penalty.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.norms import norm_over
from jaxopt_notes.projections.elements import direction, each, shortened
from jaxopt_notes.record import Number, check_choice, check_number

__all__ = ["elastic_net_threshold", "group_threshold", "hard_threshold", "shrink", "soft_threshold"]


def soft_threshold(tree: Tree, threshold: Number) -> Tree:
    """The proximal operator of the L1 norm: everything comes nearer to 0 by t, and stops there.

        x ← sign(x)·max(|x| − t, 0)          argmin t‖x‖₁ + ½‖x − v‖²

    Arguments:
        threshold: t ≥ 0; for a penalty λ and a step η it is ηλ.

    Example:
        >>> soft_threshold(jnp.array([3.0, -0.5, -2.0]), 1.0)
        Array([ 2.,  0., -1.], dtype=float32)

    Source: Beck & Teboulle 2009, equation 1.5.
    """
    check_number("soft_threshold(threshold)", threshold, "[0, inf)")

    def nearer(x: jax.Array, t: jax.Array) -> jax.Array:
        return jnp.where(_exceeds(x, t), x - direction(x) * t.astype(x.dtype), 0)

    return each(nearer, tree, threshold)


def _exceeds(x: jax.Array, threshold: jax.Array) -> jax.Array:
    """Where |x| > t; everywhere for t = 0, which moves nothing."""
    return (jnp.abs(x) > threshold) | (threshold == 0)


def hard_threshold(tree: Tree, threshold: Number) -> Tree:
    """What is not larger than t becomes 0, the rest stays: the proximal operator of the L0 "norm".

        x ← x if |x| > t else 0              argmin λ‖x‖₀ + ½‖x − v‖² for t = √(2λ)

    Arguments:
        threshold: t ≥ 0; for a penalty λ and a step η it is √(2ηλ).

    Example:
        >>> hard_threshold(jnp.array([3.0, -0.5, -2.0]), 1.0)
        Array([ 3.,  0., -2.], dtype=float32)

    Source: Blumensath & Davies 2009.
    """
    check_number("hard_threshold(threshold)", threshold, "[0, inf)")
    return each(lambda x, t: jnp.where(_exceeds(x, t), x, 0), tree, threshold)


def shrink(tree: Tree, amount: Number) -> Tree:
    """The proximal operator of the squared L2 norm: everything comes nearer to 0 by one factor.

        x ← x/(1 + t)                        argmin ½t‖x‖² + ½‖x − v‖²

    Arguments:
        amount: t ≥ 0; for a penalty λ and a step η it is ηλ.

    Example:
        >>> shrink(jnp.array([3.0, -1.0]), 1.0)
        Array([ 1.5, -0.5], dtype=float32)

    Source: Parikh & Boyd 2014, section 6.1.
    """
    check_number("shrink(amount)", amount, "[0, inf)")
    return each(lambda x, t: x / (1 + t).astype(x.dtype), tree, amount)


def elastic_net_threshold(tree: Tree, threshold: Number, l1_ratio: Number = 0.5) -> Tree:
    """The proximal operator of the elastic net: a soft threshold, then a shrinkage.

        x ← S(v, tρ)/(1 + t(1 − ρ))          argmin t(ρ‖x‖₁ + ½(1 − ρ)‖x‖²) + ½‖x − v‖²

    Arguments:
        threshold: t ≥ 0; for a penalty λ and a step η it is ηλ.
        l1_ratio: ρ in [0, 1].

    Example:
        >>> elastic_net_threshold(jnp.array([3.0, -0.5, -2.5]), 2.0, 0.5)
        Array([ 1.  ,  0.  , -0.75], dtype=float32)

    Source: Zou & Hastie 2005; Parikh & Boyd 2014, section 6.5.3.
    """
    check_number("elastic_net_threshold(threshold)", threshold, "[0, inf)")
    t = as_hyperparameter(threshold)
    ratio = as_hyperparameter(check_number("elastic_net_threshold(l1_ratio)", l1_ratio, "[0, 1]"))
    return shrink(soft_threshold(tree, t * ratio), t * (1 - ratio))


GROUPS = ("units", "inputs", "leaves")


def group_axes(groups: str, ndim: int) -> tuple[int, ...]:
    """The axes of a leaf over which a group extends: see `group_threshold`.

    Example:
        >>> group_axes("units", 4), group_axes("inputs", 2), group_axes("leaves", 2)
        ((0, 1, 2), (1,), (0, 1))
    """
    kept = {"units": ndim - 1, "inputs": ndim - 2, "leaves": -1}[groups]
    return tuple(axis for axis in range(ndim) if axis != kept)


def group_threshold(tree: Tree, threshold: Number, groups: str = "units") -> Tree:
    """The proximal operator of the group lasso: every group comes nearer to 0 as a whole, or becomes 0.

        x_g ← v_g·max(0, 1 − t√|g|/‖v_g‖)    argmin t·Σ √|g|·‖x_g‖ + ½‖x − v‖²

    Arguments:
        tree: kernels [..., inputs, units], each leaf by itself.
        threshold: t ≥ 0; for a penalty λ and a step η it is ηλ.
        groups: "units", all weights into one unit; "inputs", all out of one input (or channel); "leaves",
            a whole kernel. A vector is one number for each unit. Static.

    Example:
        >>> print(group_threshold(jnp.array([[3.0, 0.1], [4.0, 0.1]]), 2.0**-0.5))
        [[2.4 0. ]
         [3.2 0. ]]

    Source: Yuan & Lin 2006, equation 2.4; Parikh & Boyd 2014, section 6.5.4.
    """
    check_number("group_threshold(threshold)", threshold, "[0, inf)")
    check_choice("group_threshold(groups)", groups, GROUPS)

    def whole(x: jax.Array, t: jax.Array) -> jax.Array:
        axes = group_axes(groups, x.ndim)
        size = norm_over(x, axes)
        members = x.size / max(size.size, 1)
        left = jnp.maximum(size - t * members**0.5, 0)  # the length that is left; where it is 0, so is x
        return jnp.where(left > 0, shortened(x, size, left), jnp.where(t == 0, x, 0))

    return each(whole, tree, threshold)

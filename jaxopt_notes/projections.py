"""Projections onto sets, and proximal operators: what turns a gradient step into a constrained one.

A projection is the nearest point of a set; a proximal operator the best compromise between a penalty
and staying near, argmin t·h(x) + ½‖x − v‖², and the projection is that of a penalty that is 0 inside
and infinite outside. Each function here takes an array or a whole tree and returns the same; all
floating-point leaves together are one vector, other leaves and `None` stay as they are; numbers may be
traced, and gradients are finite. Whoever wants leaf by leaf maps the function over the tree.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import (
    Tree,
    as_hyperparameter,
    cast_like,
    compute_dtype,
    is_float,
    real_dtype,
)
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.record import Number, check_number

__all__ = [
    "hard_threshold",
    "project_box",
    "project_l1_ball",
    "project_l2_ball",
    "project_max_norm",
    "project_simplex",
    "project_sparse",
    "soft_threshold",
]


def _each(function: Callable, tree: Tree, *numbers: Any) -> Tree:
    """`function(x, *numbers)` of every floating-point leaf, in at least float32."""

    def one(leaf: Any) -> Any:
        if not is_float(leaf):
            return leaf
        x = jnp.asarray(leaf).astype(compute_dtype(leaf))
        own = (as_hyperparameter(number).astype(real_dtype(x.dtype)) for number in numbers)
        return cast_like(function(x, *own), leaf)

    return jax.tree.map(one, tree)


def _row(tree: Tree) -> jax.Array:
    """All numbers of a tree in a row [n]."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree) if is_float(leaf)]
    kind = compute_dtype(*leaves)
    return jnp.concatenate([jnp.zeros(0, kind)] + [x.astype(kind).ravel() for x in leaves])


def _magnitude(x: jax.Array) -> jax.Array:
    return safe_sqrt(abs_squared(x)) if jnp.iscomplexobj(x) else x * lax.stop_gradient(jnp.sign(x))


def _resized(x: jax.Array, size: jax.Array) -> jax.Array:
    """`x` turned to have the magnitudes `size`, 0 where it was 0."""
    if jnp.iscomplexobj(x):
        return x * safe_divide(size, _magnitude(x)).astype(x.dtype)
    return lax.stop_gradient(jnp.sign(x)) * size


def _resize(function: Callable, tree: Tree, number: Number) -> Tree:
    """Every magnitude replaced by what `function(magnitudes [n], number)` makes of them together."""
    floats = [jnp.asarray(x).astype(compute_dtype(x)) for x in jax.tree.leaves(tree) if is_float(x)]
    sizes = _row([_magnitude(x) for x in floats])
    sizes = function(sizes, as_hyperparameter(number).astype(sizes.dtype)) if sizes.size else sizes
    start = 0

    def one(x: jax.Array) -> jax.Array:
        nonlocal start
        start += x.size
        return _resized(x, sizes[start - x.size : start].reshape(x.shape).astype(real_dtype(x.dtype)))

    return _each(one, tree)


def _shorten(norm: jax.Array, radius: jax.Array) -> jax.Array:
    """min(1, r/‖x‖), also at 0."""
    return jnp.where(norm > radius, radius, 1) / jnp.where(norm > radius, norm, 1)


def soft_threshold(tree: Tree, threshold: Number) -> Tree:
    """The proximal operator of the L1 norm: everything comes nearer to 0 by t, and stops there.

        x ← sign(x)·max(|x| − t, 0)          argmin t‖x‖₁ + ½‖x − v‖²

    Arguments:
        threshold: t ≥ 0; for a penalty λ and a step η it is ηλ.

    Example:
        >>> soft_threshold(jnp.array([3.0, -0.5, -2.0]), 1.0)
        Array([ 2., -0., -1.], dtype=float32)

    Source: Beck & Teboulle 2009, equation 1.5; rows S4-31, S0-20 of the notes.
    """
    check_number("soft_threshold(threshold)", threshold, "[0, inf)")
    return _each(lambda x, t: _resized(x, jnp.maximum(_magnitude(x) - t, 0)), tree, threshold)


def hard_threshold(tree: Tree, threshold: Number) -> Tree:
    """What is not larger than t becomes 0, the rest stays: the proximal operator of the L0 "norm".

        x ← x if |x| > t else 0              argmin λ‖x‖₀ + ½‖x − v‖² for t = √(2λ)

    Arguments:
        threshold: t ≥ 0; for a penalty λ and a step η it is √(2ηλ).

    Example:
        >>> hard_threshold(jnp.array([3.0, -0.5, -2.0]), 1.0)
        Array([ 3.,  0., -2.], dtype=float32)

    Source: Blumensath & Davies 2009; row S0-19 of the notes.
    """
    check_number("hard_threshold(threshold)", threshold, "[0, inf)")
    return _each(lambda x, t: jnp.where(_magnitude(x) > t, x, jnp.zeros_like(x)), tree, threshold)


def project_box(tree: Tree, lower: Number, upper: Number) -> Tree:
    """The nearest point with every number between two bounds.

        x ← min(max(x, lower), upper)

    Arguments:
        lower, upper: the bounds; `-inf` and `inf` are none.

    Example:
        >>> project_box(jnp.array([3.0, -0.5]), 0.0, jnp.inf)
        Array([3., 0.], dtype=float32)

    Elsewhere: `optax.projections.projection_box`; its `projection_non_negative` is the example.
    """
    return _each(lambda x, low, high: jnp.minimum(jnp.maximum(x, low), high), tree, lower, upper)


def project_l2_ball(tree: Tree, radius: Number = 1.0) -> Tree:
    """The nearest point of a Euclidean norm of at most r: a hard constraint instead of an L2 penalty.

        x ← x·min(1, r/‖x‖₂)

    Arguments:
        radius: r ≥ 0. A constraint on the square, ‖x‖² ≤ θ, is r = √θ.

    Example:
        >>> print(project_l2_ball(jnp.array([3.0, 4.0]), 1.0))
        [0.6 0.8]

    Source: row S0-13 of the notes.
    Elsewhere: `optax.projections.projection_l2_ball`, where r is called `scale`.
    """
    check_number("project_l2_ball(radius)", radius, "[0, inf)")
    norm = global_norm(tree)
    shorter = _shorten(norm, as_hyperparameter(radius).astype(norm.dtype))
    return _each(lambda x, s: x * s.astype(x.dtype), tree, shorter)


def project_max_norm(tree: Tree, max_norm: Number = 3.0) -> Tree:
    """Max-norm: the incoming weights of every unit are brought back to a norm of at most c.

        w ← w·min(1, c/‖w‖₂)          for every column w of a kernel [..., units]

    Arguments:
        tree: leaves of rank < 2 (biases) stay as they are.
        max_norm: c ≥ 0; 3 to 4 is usual with dropout.

    Example:
        >>> print(project_max_norm(jnp.array([[3.0, 0.1], [4.0, 0.1]]), 1.0))
        [[0.6 0.1]
         [0.8 0.1]]

    Source: Srivastava et al. 2014, section 5.1; row S0-13 of the notes.
    Elsewhere: Keras' `MaxNorm` constraint.
    """
    check_number("project_max_norm(max_norm)", max_norm, "[0, inf)")

    def columns(x: jax.Array, c: jax.Array) -> jax.Array:
        if x.ndim < 2:
            return x
        norm = safe_sqrt(jnp.sum(abs_squared(x), axis=tuple(range(x.ndim - 1)), keepdims=True))
        return x * _shorten(norm, c).astype(x.dtype)

    return _each(columns, tree, max_norm)


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
    values = _row(tree)
    tau = _simplex_threshold(values, as_hyperparameter(total).astype(values.dtype)) if values.size else 0
    return _each(lambda x, tau: jnp.maximum(x - tau, 0), tree, tau)


def _simplex_threshold(values: jax.Array, total: jax.Array) -> jax.Array:
    """τ with Σ max(vᵢ − τ, 0) = total: the mean excess of the largest ones."""
    falling = jnp.flip(jnp.sort(values))
    taus = (jnp.cumsum(falling) - total) / jnp.arange(1, values.size + 1, dtype=values.dtype)
    return taus[jnp.sum(falling > taus) - 1]


def project_l1_ball(tree: Tree, radius: Number = 1.0) -> Tree:
    """The nearest point of an L1 norm of at most r; it has zeros, as what an L1 penalty finds.

        x ← sign(x)·max(|x| − τ, 0), with τ ≥ 0 such that ‖x‖₁ ≤ r

    Arguments:
        radius: r > 0.

    Example:
        >>> project_l1_ball(jnp.array([2.0, -1.5, 0.1]), 1.0)
        Array([ 0.75, -0.25,  0.  ], dtype=float32)

    Source: Duchi et al. 2008, section 4; row S0-13 of the notes.
    Elsewhere: `optax.projections.projection_l1_ball`, where r is `scale`.
    """
    check_number("project_l1_ball(radius)", radius, "(0, inf)")
    return _resize(lambda x, r: jnp.maximum(x - jnp.maximum(_simplex_threshold(x, r), 0), 0), tree, radius)


def project_sparse(tree: Tree, k: Number) -> Tree:
    """The nearest point with at most k non-zeros: the k largest magnitudes stay.

        argmin ‖x − v‖² with ‖x‖₀ ≤ k

    Arguments:
        tree: of equal magnitudes the first ones stay.
        k: how many, ≥ 0, rounded to a whole number; may be traced.

    Example:
        >>> project_sparse(jnp.array([1.0, -3.0, 2.0]), 2)
        Array([ 0., -3.,  2.], dtype=float32)

    Source: Blumensath & Davies 2009; row S0-19 of the notes.
    """
    check_number("project_sparse(k)", k, "[0, inf)")
    ranks = lambda x: jnp.argsort(jnp.argsort(x, descending=True)).astype(x.dtype)  # noqa: E731
    return _resize(lambda x, k: jnp.where(ranks(x) < jnp.round(k), x, 0), tree, k)

"""Projections onto sets, and proximal operators: what turns a gradient step into a constrained one.

A projection is the nearest point of a set; a proximal operator is the best compromise between a penalty
and staying near, argmin t·h(x) + ½‖x − v‖², and the projection is that of a penalty that is 0 inside
and infinite outside. Each function here takes an array or a whole tree and returns the same; all
floating-point leaves together are one vector, other leaves and `None` stay as they are; numbers may be
traced. To project leaf by leaf, map the function over the tree.

Entries may have any size that their dtype holds, also beside one another, and so may radii. Gradients are
finite. At a corner, where the derivatives from two sides differ, the gradient is one of the two: where
nothing has to be moved (inside a ball, at a threshold of 0, on the wall of a box) it is the identity.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter, cast_like, compute_dtype, is_float, real_dtype
from jaxopt_notes.norms import global_norm, norm_over
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


def _each(function: Callable, tree: Tree, *numbers: Number) -> Tree:
    """`function(x, *numbers)` of every floating-point leaf, in at least float32."""

    def one(leaf: jax.Array) -> jax.Array:
        if not is_float(leaf):
            return leaf
        x = jnp.asarray(leaf).astype(compute_dtype(leaf))
        own = (as_hyperparameter(number).astype(real_dtype(x.dtype)) for number in numbers)
        return cast_like(function(x, *own), leaf)

    return jax.tree.map(one, tree)


def _together(function: Callable, tree: Tree, number: Number) -> Tree:
    """What `function(x [n], number)` makes of all floating-point numbers of a tree, put in a row."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree) if is_float(leaf)]
    kind = compute_dtype(*leaves)
    row = jnp.concatenate([jnp.zeros(0, kind), *(x.astype(kind).ravel() for x in leaves)])
    if not row.size:
        return tree
    row = function(row, as_hyperparameter(number).astype(real_dtype(kind)))
    start = 0

    def one(x: jax.Array) -> jax.Array:
        nonlocal start
        start += x.size
        part = row[start - x.size : start].reshape(x.shape)
        return part if jnp.iscomplexobj(x) else jnp.real(part)

    return _each(one, tree)


def _check_real(where: str, tree: Tree) -> None:
    for path, leaf in jax.tree.leaves_with_path(tree):
        if jnp.iscomplexobj(leaf):
            name = jax.tree_util.keystr(path) or "an array"
            raise TypeError(
                f"{where}(tree) holds complex numbers ({name}), expected real ones: complex numbers have no "
                f"order; project jnp.real(x) and jnp.imag(x)."
            )


def _direction(x: jax.Array) -> jax.Array:
    """x/|x|, and 0 at 0: a sign, or a complex number of magnitude 1."""
    if not jnp.iscomplexobj(x):
        return lax.stop_gradient(jnp.sign(x))
    size = lax.stop_gradient(jnp.abs(x))
    x = x / jnp.where(size > 0, size, 1).astype(x.dtype)  # its own quotient would square what is tiny or huge
    size = jnp.abs(x)
    return x / jnp.where(size > 0, size, 1).astype(x.dtype)


def _shortened(x: jax.Array, norm: jax.Array, radius: jax.Array) -> jax.Array:
    """x·min(1, r/‖x‖), for numbers whose quotients, or whose squares, cannot be represented."""
    outside = norm > radius
    size = lax.stop_gradient(jnp.where(outside, jnp.minimum(norm, jnp.finfo(norm.dtype).max), 1))
    relative = jnp.where(outside, norm / size, 1).astype(x.dtype)  # 1; it has the gradient of the norm
    share = radius / size
    tiny = share < jnp.finfo(share.dtype).tiny
    short = jnp.where(tiny, x / size.astype(x.dtype) * radius.astype(x.dtype), x * share.astype(x.dtype))
    return jnp.where(outside, short / relative, x)


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
        return jnp.where(_exceeds(x, t), x - _direction(x) * t.astype(x.dtype), 0)

    return _each(nearer, tree, threshold)


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
    return _each(lambda x, t: jnp.where(_exceeds(x, t), x, 0), tree, threshold)


def project_box(tree: Tree, lower: Number, upper: Number) -> Tree:
    """The nearest point with every number between two bounds.

        x ← min(max(x, lower), upper)

    Arguments:
        tree: real numbers.
        lower, upper: the bounds; `-inf` and `inf` are none.

    Raises:
        TypeError: complex numbers, or bounds that are not numbers.

    Example:
        >>> project_box(jnp.array([3.0, -0.5]), 0.0, jnp.inf)
        Array([3., 0.], dtype=float32)

    Elsewhere: `optax.projections.projection_box`; its `projection_non_negative` is the example.
    """
    _check_real("project_box", tree)
    lower = check_number("project_box(lower)", lower, "[-inf, inf]")
    upper = check_number("project_box(upper)", upper, "[-inf, inf]")

    def inside(x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        x = jnp.where(x < low, low, x)  # not jnp.maximum, whose gradient on the wall is a half
        return jnp.where(x > high, high, x)

    return _each(inside, tree, lower, upper)


def project_l2_ball(tree: Tree, radius: Number = 1.0) -> Tree:
    """The nearest point of a Euclidean norm of at most r: a hard constraint instead of an L2 penalty.

        x ← x·min(1, r/‖x‖₂)

    Arguments:
        radius: r ≥ 0. A constraint on the square, ‖x‖² ≤ θ, is r = √θ.

    Example:
        >>> print(project_l2_ball(jnp.array([3.0, 4.0]), 1.0))
        [0.6 0.8]

    Elsewhere: `optax.projections.projection_l2_ball`, where r is called `scale`.
    """
    check_number("project_l2_ball(radius)", radius, "[0, inf)")
    return _each(_shortened, tree, global_norm(tree), radius)


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

    Source: Srivastava et al. 2014, section 5.1.
    Elsewhere: Keras' `MaxNorm` constraint.
    """
    check_number("project_max_norm(max_norm)", max_norm, "[0, inf)")

    def columns(x: jax.Array, c: jax.Array) -> jax.Array:
        return x if x.ndim < 2 else _shortened(x, norm_over(x, tuple(range(x.ndim - 1))), c)

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
    _check_real("project_simplex", tree)
    return _together(_onto_simplex, tree, total)


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
        return jnp.where(jnp.sum(size) <= r, x, _direction(x) * _onto_simplex(size, r).astype(x.dtype))

    return _together(shrunk, tree, radius)


def project_sparse(tree: Tree, k: Number) -> Tree:
    """The nearest point with at most k non-zeros: the k largest magnitudes stay.

        argmin ‖x − v‖² with ‖x‖₀ ≤ k

    Arguments:
        tree: of equal magnitudes the first ones stay.
        k: how many, ≥ 0, rounded to a whole number; may be traced.

    Example:
        >>> project_sparse(jnp.array([1.0, -3.0, 2.0]), 2)
        Array([ 0., -3.,  2.], dtype=float32)

    Source: Blumensath & Davies 2009.
    """
    check_number("project_sparse(k)", k, "[0, inf)")

    def largest(x: jax.Array, k: jax.Array) -> jax.Array:
        ranks = jnp.argsort(jnp.argsort(jnp.abs(x), descending=True))
        return jnp.where(ranks < jnp.clip(jnp.round(k), 0, x.size).astype(ranks.dtype), x, 0)

    return _together(largest, tree, k)

"""How far training has come: what methods without a learning rate measure instead of being told.

A good step length is about the distance from the start to the solution, over the gradients met. D-Adaptation,
Prodigy, DoG and DoWG estimate that distance while they train: from a copy of the starting point, and from
sums over the whole tree. Every sum here is one number, in float32 at least, made in one pass that writes
nothing; leaves that are not floating point, and missing gradients, do not count.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float, is_none
from jaxopt_notes.numerics import abs_squared, safe_sqrt


def starting_point(params: Tree) -> Tree:
    """A copy of the parameters in at least float32, `None` for leaves that do not move.

    Example:
        >>> starting_point({"w": jnp.ones(2, jnp.bfloat16), "n": jnp.array(3)})
        {'n': None, 'w': Array([1., 1.], dtype=float32)}
    """
    return jax.tree.map(
        lambda x: jnp.array(x, dtype=compute_dtype(x), copy=True) if is_float(x) else None, params
    )


def distance(params: Tree, start: Tree) -> jax.Array:
    """‖θ − θ₀‖ over all leaves, with a gradient of 0 where it is 0.

    Example:
        >>> print(distance({"w": jnp.array([3.0, 4.0])}, {"w": jnp.zeros(2)}))
        5.0
    """
    return safe_sqrt(_sum(lambda p, s: abs_squared(p - s), params, start))


def inner_product(grads: Tree, other: Tree) -> jax.Array:
    """Re⟨g, x⟩ over all leaves.

    Example:
        >>> print(inner_product([jnp.array([1.0, 2.0]), None], [jnp.array([3.0, 4.0]), jnp.ones(2)]))
        11.0
    """
    return _sum(lambda g, x: jnp.real(jnp.conj(g) * x), grads, other)


def gain(grads: Tree, start: Tree, params: Tree) -> jax.Array:
    """Re⟨g, θ₀ − θ⟩: how much lower the parameters lie than the start, to first order.

    Example:
        >>> print(gain(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]), jnp.array([3.0, 3.0])))
        2.0
    """
    return _sum(lambda g, s, p: jnp.real(jnp.conj(g) * (s - p)), grads, start, params)


def absolute_sum(tree: Tree) -> jax.Array:
    """‖x‖₁ = Σ|xᵢ| over all leaves.

    Example:
        >>> print(absolute_sum({"a": jnp.array([1.0, -2.0]), "b": jnp.array(3 + 4j)}))
        8.0
    """
    return _sum(jnp.abs, tree)


def after(total: jax.Array, number: ArrayLike) -> jax.Array:
    """The number; on CPU known only when the sum is, and NaN if that is NaN.

    What a sum reads must not be updated in place before it is read. On CPU, an update by a number that waits
    for the sum comes after it; without, the compiler saves a copy of the whole leaf for the sum to read. On
    GPU and TPU sum and update are one pass, which a number that waits would cut in two.
    """
    return lax.platform_dependent(
        total, as_hyperparameter(number),
        cpu=lambda total, number: jnp.where(jnp.isnan(total), total, number),
        default=lambda total, number: number,
    )  # fmt: skip


def _sum(term: Callable[..., jax.Array], *trees: Tree) -> jax.Array:
    def total(*leaves: Any) -> jax.Array | None:
        if not all(map(is_float, leaves)):
            return None
        kind = compute_dtype(*leaves)
        return as_hyperparameter(jnp.sum(term(*(jnp.asarray(leaf).astype(kind) for leaf in leaves))))

    sums = jax.tree.leaves(jax.tree.map(total, *trees, is_leaf=is_none))
    return functools.reduce(jnp.add, sums, as_hyperparameter(0.0))

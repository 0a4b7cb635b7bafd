"""How far training has come: what methods without a learning rate measure instead of being told.

A good step length is about the distance from the start to the solution, over the gradients met. D-Adaptation,
Prodigy, DoG and DoWG estimate that distance while they train: from a copy of the starting point, and from
sums over the whole tree. Every sum here is one number, in float32 at least, made in one pass that writes
nothing; leaves that are no floating point, and missing gradients, do not count.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.trees import (
    Tree,
    abs_squared,
    as_hyperparameter,
    compute_dtype,
    is_float,
    is_none,
    safe_sqrt,
)


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


def absolute_sum(tree: Tree) -> jax.Array:
    """‖x‖₁ = Σ|xᵢ| over all leaves.

    Example:
        >>> print(absolute_sum({"a": jnp.array([1.0, -2.0]), "b": jnp.array(3 + 4j)}))
        8.0
    """
    return _sum(lambda x, _: jnp.abs(x), tree, tree)


def after(total: jax.Array, number: Any) -> jax.Array:
    """The number, known only when the sum is: NaN if that is NaN, else itself.

    What a sum reads must not be updated in place before it is read. An update by a number that waits for the
    sum comes after it; without, the compiler saves a copy of the whole leaf for the sum to read.
    """
    return jnp.where(jnp.isnan(total), total, as_hyperparameter(number))


def _sum(term: Callable[[jax.Array, jax.Array], jax.Array], tree: Tree, other: Tree) -> jax.Array:
    def total(a: Any, b: Any) -> jax.Array | None:
        if not (is_float(a) and is_float(b)):
            return None
        kind = compute_dtype(a, b)
        return as_hyperparameter(jnp.sum(term(jnp.asarray(a).astype(kind), jnp.asarray(b).astype(kind))))

    sums = jax.tree.leaves(jax.tree.map(total, tree, other, is_leaf=is_none))
    return functools.reduce(jnp.add, sums, as_hyperparameter(0.0))

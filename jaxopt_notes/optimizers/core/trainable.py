"""What a solver moves: the floating-point leaves that have a gradient, as trees and as one real vector.

Newton's method and its kin are about one vector. A tree of parameters may hold leaves that stand
still: whole numbers, `None`, leaves whose gradient is missing. `moving` puts `None` in their place,
`ravel` lays the rest out as one vector (a complex number is two real ones, so that inner products and
curvatures are right), `objective` is the loss as a function of that vector, and `moved` makes updates
of a step.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.tree_util import PyTreeDef
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, cast_like, compute_dtype, is_float, is_none, real_dtype
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.sharding import placed_like, whole


def moving(updates: Tree, params: Tree) -> tuple[Tree, Tree]:
    """Gradients and parameters, in at least float32, with `None` wherever nothing is to be moved."""

    def pick(which: int) -> Callable:
        def one(g: ArrayLike | None, p: ArrayLike | None) -> jax.Array | None:
            return (
                None if g is None or not is_float(p) else jnp.asarray((g, p)[which]).astype(compute_dtype(p))
            )

        return one

    grads, here = (jax.tree.map(pick(i), updates, params, is_leaf=is_none) for i in (0, 1))
    return grads, here


def restrict(tree: Tree, moving: Tree) -> Tree:
    """A state tree with `None` wherever the moving tree has it."""
    return jax.tree.map(lambda m, x: None if m is None else x, moving, tree, is_leaf=is_none)


def merge(new: Tree, old: Tree) -> Tree:
    """The old tree with the leaves of the new one that are not `None`."""
    return jax.tree.map(lambda n, o: o if n is None else n, new, old, is_leaf=is_none)


def ravel(tree: Tree) -> tuple[jax.Array, Callable[[jax.Array], Tree]]:
    """All numbers of a moving tree as one real vector [n], and the way back.

    Example:
        >>> vector, unravel = ravel({"a": jnp.array([1.0, 2.0]), "b": None, "c": jnp.array(3 + 4j)})
        >>> vector
        Array([1., 2., 3., 4.], dtype=float32)
        >>> unravel(vector)["c"]
        Array(3.+4.j, dtype=complex64)
    """
    treedef: PyTreeDef
    leaves, treedef = jax.tree.flatten(tree)
    kind = real_dtype(compute_dtype(*leaves))

    def as_real(x: jax.Array) -> jax.Array:
        x = whole(x)
        parts = jnp.stack([jnp.real(x), jnp.imag(x)]) if jnp.iscomplexobj(x) else x
        return parts.astype(kind)

    vector, unravel_real = ravel_pytree([as_real(x) for x in leaves] or [jnp.zeros(0, kind)])

    def unravel(vector: jax.Array) -> Tree:
        def as_before(x: jax.Array, like: jax.Array) -> jax.Array:
            whole = lax.complex(x[0], x[1]) if jnp.iscomplexobj(like) else x
            return placed_like(whole.astype(like.dtype), like)

        parts = unravel_real(vector.astype(kind))
        return jax.tree.unflatten(treedef, [as_before(x, y) for x, y in zip(parts, leaves, strict=False)])

    return vector, unravel


def ravel_rows(tree: Tree, count: int) -> jax.Array:
    """A moving tree whose leaves have one more leading axis, as rows [count, n]."""
    if not jax.tree.leaves(tree):
        return jnp.zeros((count, 0))
    return jax.vmap(lambda row: ravel(row)[0])(tree)


def objective(
    where: str, name: str, function: Callable | None, params: Tree, unravel: Callable, extra: dict
) -> Callable[[jax.Array], Any]:
    """A function of the parameters as one of the vector of what is moved.

    Arguments:
        where, name: the solver and the argument, for the error where it is missing.
        function: called with parameters in at least float32, and those of `extra` that it has a name for.
        params: give the leaves that stand still.
        unravel: from the vector to the moving tree.
    """
    if function is None:
        raise ValueError(
            f"{where} needs {name}, but it is None: call update(grads, state, params, {name}=function of the "
            "parameters)."
        )
    names = list(inspect.signature(function).parameters)[1:]
    known = {key: extra[key] for key in names if key in extra}
    return lambda vector: function(merge(unravel(vector), params), **known)


def scalar(value: ArrayLike, kind: np.dtype) -> jax.Array:
    """The value of a loss, in the dtype of the vector."""
    return jnp.asarray(value).astype(kind)


def stands_still(step: jax.Array, here: jax.Array) -> jax.Array:
    """Whether a step changed the last digits of the parameters at most."""
    return jnp.all(jnp.abs(step) <= 4 * jnp.finfo(step.dtype).eps * jnp.abs(here))


def moved(step: Tree, updates: Tree, params: Tree, accept: Accept) -> Tree:
    """Updates in the dtypes of the parameters: the step, 0 for whole numbers, `None` for what is missing."""

    def one(g: ArrayLike | None, s: Any, p: ArrayLike) -> Any:
        if g is None:
            return None
        if s is None:
            return jnp.zeros_like(jnp.asarray(p))
        return cast_like(s if accept is None else jnp.where(accept, s, jnp.zeros_like(s)), p)

    return jax.tree.map(one, updates, step, params, is_leaf=is_none)


def places(moving: Tree, whole: Tree) -> np.ndarray:
    """Where the numbers of a moving tree stand in the vector of the whole one: indices, known at once."""
    found: list[int] = []
    start = 0
    for leaf, own in zip(
        jax.tree.leaves(whole, is_leaf=is_none), jax.tree.leaves(moving, is_leaf=is_none), strict=True
    ):
        size = 0 if leaf is None else leaf.size * (2 if jnp.iscomplexobj(leaf) else 1)
        found += [] if own is None else range(start, start + size)
        start += size
    return np.asarray(found, np.int32)

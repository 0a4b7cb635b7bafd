"""What all projections share: the loop over the leaves of a tree, or over all of them as one vector.

Other leaves than floating-point ones, and `None`, stay as they are; numbers may be traced; computed is in at
least float32.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter, cast_like, compute_dtype, is_float, real_dtype
from jaxopt_notes.record import Number
from jaxopt_notes.sharding import placed_like, whole


def each(function: Callable, tree: Tree, *numbers: Number) -> Tree:
    """`function(x, *numbers)` of every floating-point leaf, in at least float32."""

    def one(leaf: jax.Array) -> jax.Array:
        if not is_float(leaf):
            return leaf
        x = jnp.asarray(leaf).astype(compute_dtype(leaf))
        own = (as_hyperparameter(number).astype(real_dtype(x.dtype)) for number in numbers)
        return cast_like(function(x, *own), leaf)

    return jax.tree.map(one, tree)


def together(function: Callable, tree: Tree, number: Number) -> Tree:
    """What `function(x [n], number)` makes of all floating-point numbers of a tree, put in a row."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree) if is_float(leaf)]
    kind = compute_dtype(*leaves)
    row = jnp.concatenate([jnp.zeros(0, kind), *(whole(x).astype(kind).ravel() for x in leaves)])
    if not row.size:
        return tree
    row = function(row, as_hyperparameter(number).astype(real_dtype(kind)))
    start = 0

    def one(x: jax.Array) -> jax.Array:
        nonlocal start
        start += x.size
        part = placed_like(row[start - x.size : start].reshape(x.shape), x)
        return part if jnp.iscomplexobj(x) else jnp.real(part)

    return each(one, tree)


def check_real(where: str, tree: Tree) -> None:
    for path, leaf in jax.tree.leaves_with_path(tree):
        if jnp.iscomplexobj(leaf):
            name = jax.tree_util.keystr(path) or "an array"
            raise TypeError(
                f"{where}(tree) holds complex numbers ({name}), expected real ones: complex numbers have no "
                f"order; project jnp.real(x) and jnp.imag(x)."
            )


def direction(x: jax.Array) -> jax.Array:
    """x/|x|, and 0 at 0: a sign, or a complex number of magnitude 1."""
    if not jnp.iscomplexobj(x):
        return lax.stop_gradient(jnp.sign(x))
    size = lax.stop_gradient(jnp.abs(x))
    x = x / jnp.where(size > 0, size, 1).astype(x.dtype)  # its own quotient would square what is tiny or huge
    size = jnp.abs(x)
    return x / jnp.where(size > 0, size, 1).astype(x.dtype)


def shortened(x: jax.Array, norm: jax.Array, radius: jax.Array) -> jax.Array:
    """x·min(1, r/‖x‖), for numbers whose quotients, or whose squares, cannot be represented."""
    outside = norm > radius
    size = lax.stop_gradient(jnp.where(outside, jnp.minimum(norm, jnp.finfo(norm.dtype).max), 1))
    relative = jnp.where(outside, norm / size, 1).astype(x.dtype)  # 1; it has the gradient of the norm
    share = radius / size
    tiny = share < jnp.finfo(share.dtype).tiny
    short = jnp.where(tiny, x / size.astype(x.dtype) * radius.astype(x.dtype), x * share.astype(x.dtype))
    return jnp.where(outside, short / relative, x)

"""The Euclidean norm of a whole tree, right wherever it can be represented, in one pass.

    global_norm(grads)

A sum of squares overflows for entries above 1e19 and underflows below 1e-19. Both happen in training
and both must not turn a gradient into infinity or into nothing. A CPU adds the squares of float32
entries up in float64, where neither can happen, whether or not x64 is switched on. On GPU and TPU three
sums are taken in one pass: of the squares of large, of moderate and of small entries, the large and the
small ones scaled (Blue 1978).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, compute_dtype, is_float, real_dtype
from jaxopt_notes.numerics import abs_squared, power_of_two, safe_sqrt

__all__ = ["global_norm"]

# XLA's CPU backend makes three loops of the sum over a short vector, so leaves of at most this many
# entries are added up together; but not where there are several devices, which would have to gather them.
SHORT = 1024


def global_norm(tree: Tree) -> jax.Array:
    """Euclidean norm of all floating-point leaves together.

        ‖x‖ = √Σ|xᵢ|²

    Arguments:
        tree: any pytree; integer leaves and `None` do not count.

    Returns:
        A scalar of at least float32. An infinite entry gives inf, a NaN gives NaN, an empty tree 0.
        The norm of 1e25 and of 1e-25 is right, and its gradient at 0 is 0.

    Example:
        >>> float(global_norm({"a": jnp.array([3.0]), "b": jnp.array([4.0])}))
        5.0

    Source: Blue 1978, "A portable Fortran program to find the Euclidean norm of a vector".

    Elsewhere: `optax.global_norm` is inf from 1e19 on, 0 below 1e-23, and has NaN gradients at 0.
    """
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree) if is_float(leaf)]
    leaves = [leaf for leaf in leaves if leaf.size]
    if not leaves:
        return jnp.zeros((), jnp.result_type(float))
    kind = compute_dtype(*leaves)
    return _norm([leaf.astype(kind if jnp.iscomplexobj(leaf) else real_dtype(kind)) for leaf in leaves])


def norm_over(x: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """Euclidean norms along some axes, which are kept with length 1.

        ‖x‖ = √Σ|xᵢ|²          over the given axes

    Arguments:
        x: real or complex, floating-point; computed in its own dtype.
        axis: the axes to sum over.

    Returns:
        Real; right for entries of any size, with the gradient 0 at 0.

    Example:
        >>> norm_over(jnp.array([[3e-30, 1e30], [4e-30, 0.0]]), (0,))
        Array([[5.e-30, 1.e+30]], dtype=float32)

    Elsewhere: `jnp.linalg.norm` gives 0 and inf here.
    """
    unit = power_of_two(jnp.max(jnp.abs(x), axis, initial=0, keepdims=True))
    squares = abs_squared(x / unit.astype(x.dtype))
    return unit * safe_sqrt(jnp.sum(squares, axis, keepdims=True))


@jax.custom_jvp
def _norm(leaves: list) -> jax.Array:
    on_cpu = _norm_in_double if _dtype(leaves) == jnp.float32 else _norm_of_scaled
    return lax.platform_dependent(leaves, cpu=on_cpu, default=_norm_in_three_sums)


@_norm.defjvp
def _norm_jvp(primals: tuple, tangents: tuple) -> tuple:
    (leaves,), (directions,) = primals, tangents
    norm = _norm(leaves)
    safe = jnp.where(norm > 0, norm, jnp.ones_like(norm))
    slopes = [
        jnp.sum(jnp.real(jnp.conj(leaf / safe.astype(leaf.dtype)) * d)).astype(norm.dtype)
        for leaf, d in zip(leaves, directions, strict=True)
    ]
    return norm, functools.reduce(jnp.add, slopes)


def _dtype(leaves: list) -> np.dtype:
    return real_dtype(leaves[0].dtype)


def _norm_in_double(leaves: list) -> jax.Array:
    alone = [leaf.size > SHORT or jnp.iscomplexobj(leaf) or jax.device_count() > 1 for leaf in leaves]
    parts = [leaf for leaf, own in zip(leaves, alone, strict=True) if own]
    if not all(alone):
        short = [leaf.reshape(-1) for leaf, own in zip(leaves, alone, strict=True) if not own]
        parts.append(lax.concatenate(short, 0))
    with jax.enable_x64(True):
        total = _total([_sum_in_double(part) for part in parts])
        return lax.convert_element_type(jnp.sqrt(total), jnp.float32)


@jax.jit
def _sum_in_double(leaf: jax.Array) -> jax.Array:
    parts = (leaf.real, leaf.imag) if jnp.iscomplexobj(leaf) else (leaf,)
    wide = [lax.convert_element_type(part, np.dtype("float64")) for part in parts]
    return functools.reduce(jnp.add, [jnp.sum(part * part, keepdims=True).reshape(1) for part in wide])


def _norm_of_scaled(leaves: list) -> jax.Array:
    """In units of the largest entry, which takes a pass of its own: float64 knows no wider type."""
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in leaves]))
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, jnp.ones_like(largest))
    return unit * jnp.sqrt(_total([_sum_of_squares(leaf / unit.astype(leaf.dtype)) for leaf in leaves]))


@jax.jit
def _sum_of_squares(leaf: jax.Array) -> jax.Array:
    return jnp.sum(abs_squared(leaf)).reshape(1)


def _total(sums: list) -> jax.Array:
    return jnp.sum(lax.concatenate(sums, 0))


def _norm_in_three_sums(leaves: list) -> jax.Array:
    small, moderate, large = (_total(list(sums)) for sums in zip(*map(_three_sums, leaves), strict=True))
    scale = _edge(moderate.dtype) ** 2
    from_large = jnp.sqrt(large + moderate / scale / scale) * scale
    from_moderate = jnp.sqrt(moderate + small / scale / scale)
    otherwise = jnp.where(moderate == 0, jnp.sqrt(small) / scale, from_moderate)
    return jnp.where(large > 0, from_large, otherwise)


def _edge(dtype: DTypeLike) -> float:
    """Squares of entries between 1/edge and edge are safe to add up; edge² brings all others there."""
    return 2.0 ** (jnp.finfo(dtype).maxexp * 2 // 5)


@jax.jit
def _three_sums(leaf: jax.Array) -> tuple:
    """Sums of squares of the small entries times edge², of the moderate ones, of the large ones / edge²."""
    size = jnp.abs(leaf)
    edge = _edge(size.dtype)
    is_small, is_large = size < 1 / edge, size > edge
    zero = jnp.zeros_like(size)
    parts = (
        jnp.where(is_small, size * (edge * edge), zero),
        jnp.where(is_small | is_large, zero, size),
        jnp.where(is_large, size / (edge * edge), zero),
    )
    start = (jnp.zeros((), size.dtype),) * 3
    add = lambda a, b: tuple(x + y for x, y in zip(a, b, strict=True))  # noqa: E731
    sums = lax.reduce(tuple(part * part for part in parts), start, add, tuple(range(leaf.ndim)))
    return tuple(part.reshape(1) for part in sums)

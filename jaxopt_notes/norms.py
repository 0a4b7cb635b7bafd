"""The Euclidean norm of a whole tree, right wherever it can be represented, in one pass.

A sum of squares overflows for entries above 1e19 and underflows below 1e-19. Both happen in training
and both must not turn a gradient into infinity or into nothing. On GPU and TPU three sums are taken
in one pass: of the squares of large, of moderate and of small entries, the large and the small ones
scaled (Blue 1978). A CPU would not vectorize that; there the plain sum is taken, and only if it left
the safe range it is taken a second time, of scaled entries.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jaxopt_notes.trees import Tree, abs_squared, compute_dtype, is_float, real_dtype


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


@jax.custom_jvp
def _norm(leaves: list) -> jax.Array:
    return _batched_norm(0)(leaves)


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


def _batched_norm(batch: int) -> Callable[[list], jax.Array]:
    """The norm over all axes but the first `batch` ones; `vmap` of it has one batch axis more.

    So the branch for extreme values is taken for a whole population at once, or not at all, where
    `vmap` of a `cond` would compute both sides always.
    """

    @custom_vmap
    def norm(leaves: list) -> jax.Array:
        cpu, other = (functools.partial(form, batch) for form in (_norm_in_two_passes, _norm_in_three_sums))
        return lax.platform_dependent(leaves, cpu=cpu, default=other)

    @norm.def_vmap
    def _(size: int, is_batched: tuple, leaves: list) -> tuple:
        (flags,) = is_batched
        leaves = [
            leaf if flag else jnp.broadcast_to(leaf[None], (size, *leaf.shape))
            for leaf, flag in zip(leaves, flags, strict=True)
        ]
        return _batched_norm(batch + 1)(leaves), True

    return norm


def _dtype(leaves: list) -> Any:
    return real_dtype(leaves[0].dtype)


def _norm_in_two_passes(batch: int, leaves: list) -> jax.Array:
    total = _sum_of_squares(batch, leaves)
    info = jnp.finfo(total.dtype)
    # Squares of which each may have been rounded to zero must not have counted; the largest is finite.
    count = sum(leaf.size for leaf in leaves) // max(total.size, 1)
    low = float(info.smallest_normal) / float(info.eps) * count
    in_range = (total >= low) & (total <= float(info.max))

    def again(leaves: list) -> jax.Array:
        return jnp.where(in_range, jnp.sqrt(total), _rescaled_norm(batch, total, leaves))

    return lax.cond(jnp.all(in_range), lambda leaves: jnp.sqrt(total), again, leaves)


def _rescaled_norm(batch: int, total: jax.Array, leaves: list) -> jax.Array:
    """The norm of entries brought into the safe range by a power of two, which rounds nothing."""
    power = _edge(total.dtype) ** 2
    down, up = (jnp.full_like(total, x) for x in (1 / power, power))
    factor, inverse = jnp.where(total > 1, down, up), jnp.where(total > 1, up, down)

    def scaled(leaf: jax.Array) -> jax.Array:
        # A factor of its own: leaves of one shape would share, and store, its broadcast.
        leaf, own = lax.optimization_barrier((leaf, factor))
        return leaf * jnp.expand_dims(own.astype(leaf.dtype), tuple(range(batch, leaf.ndim)))

    return inverse * jnp.sqrt(_sum_of_squares(batch, [scaled(leaf) for leaf in leaves]))


def _edge(dtype: Any) -> float:
    """Squares of entries between 1/edge and edge are safe to add up; edge² brings all others there."""
    return 2.0 ** (jnp.finfo(dtype).maxexp * 2 // 5)


def _sum_of_squares(batch: int, leaves: list) -> jax.Array:
    # Behind the barrier the squares are nobody else's: shared with a second moment they would be stored.
    leaves = [lax.optimization_barrier(leaf) for leaf in leaves]
    sums = [jnp.sum(abs_squared(leaf), axis=tuple(range(batch, leaf.ndim))) for leaf in leaves]
    return functools.reduce(jnp.add, [total.astype(_dtype(leaves)) for total in sums])


def _norm_in_three_sums(batch: int, leaves: list) -> jax.Array:
    dtype = _dtype(leaves)
    edge = _edge(dtype)
    scale = edge * edge
    bins = [_three_sums(batch, leaf, edge) for leaf in leaves]
    columns = [[part.astype(dtype) for part in column] for column in zip(*bins, strict=True)]
    small, moderate, large = (functools.reduce(jnp.add, column) for column in columns)
    from_large = jnp.sqrt(large + moderate / scale / scale) * scale
    from_moderate = jnp.sqrt(moderate + small / scale / scale)
    otherwise = jnp.where(moderate == 0, jnp.sqrt(small) / scale, from_moderate)
    return jnp.where(large > 0, from_large, otherwise)


def _three_sums(batch: int, leaf: jax.Array, edge: float) -> tuple:
    """Sums of squares of the small entries times edge², of the moderate ones, of the large ones / edge²."""
    size = jnp.abs(leaf)
    is_small, is_large = size < 1 / edge, size > edge
    zero = jnp.zeros_like(size)
    parts = (
        jnp.where(is_small, size * (edge * edge), zero),
        jnp.where(is_small | is_large, zero, size),
        jnp.where(is_large, size / (edge * edge), zero),
    )
    start = (jnp.zeros((), size.dtype),) * 3
    add = lambda a, b: tuple(x + y for x, y in zip(a, b, strict=True))  # noqa: E731
    return lax.reduce(tuple(part * part for part in parts), start, add, tuple(range(batch, leaf.ndim)))

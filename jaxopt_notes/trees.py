"""Arithmetic on pytrees: safe roots and norms, casts that keep dtypes stable, path names, masks.

A tree here is anything JAX calls a pytree. Leaves may be arrays, NumPy arrays, Python numbers or
`None` (a missing gradient). Leaves that are not real or complex floating point are never touched.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Tree = Any
Mask = Callable[[Tree], Tree]


def is_none(leaf: Any) -> bool:
    """True for `None`; as `is_leaf` it makes a missing gradient a leaf of its own."""
    return leaf is None


def is_float(leaf: Any) -> bool:
    """True if the leaf is real or complex floating point, so that an optimizer may move it."""
    return leaf is not None and jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def compute_dtype(*leaves: Any) -> np.dtype:
    """The dtype to compute in: that of the leaves, and at least float32 (complex64 if complex)."""
    with jax.numpy_dtype_promotion("standard"):
        dtypes = [jnp.asarray(leaf).dtype for leaf in leaves]
        return functools.reduce(jnp.promote_types, dtypes, np.dtype("float32"))


def real_dtype(dtype: Any) -> np.dtype:
    """The dtype of the absolute value of a number of `dtype`."""
    return jnp.finfo(dtype).dtype


def as_hyperparameter(value: Any) -> jax.Array:
    """A hyperparameter as an array of float32 (float64 under x64), never weakly typed.

    In a parameter's own dtype it would lose its meaning: bfloat16 rounds 0.999 to 1.
    """
    return jnp.asarray(value, dtype=jnp.result_type(float))


def cast_like(value: Any, like: Any) -> jax.Array:
    """`value` in the dtype and the weak type of `like`, so that a loop carrying it traces once."""
    like = jnp.asarray(like)
    value = jnp.asarray(value).astype(like.dtype)
    if like.weak_type:  # lax.full_like is the public way to a weakly typed array, for scalars only
        return jnp.vectorize(lambda x: lax.full_like(jnp.asarray(_zero_of(like.dtype)), x))(value)
    return value


def _zero_of(dtype: Any) -> Any:
    return {"f": 0.0, "c": 0j, "i": 0, "u": 0, "b": False}[np.dtype(dtype).kind]


def zeros_like(tree: Tree, dtype: Any = None, *, real: bool = False) -> Tree:
    """A state of zeros for every floating-point leaf, `None` for all others (they hold no state).

    Arguments:
        tree: the parameters.
        dtype: dtype of the zeros; by default the leaf's, and at least float32.
        real: the zeros of a complex leaf are real (for sums of absolute squares).
    """

    def zeros(leaf: Any) -> jax.Array | None:
        if not is_float(leaf):
            return None
        kind = compute_dtype(leaf) if dtype is None else np.dtype(dtype)
        if jnp.iscomplexobj(leaf):
            wide = np.dtype("complex128" if real_dtype(kind).itemsize == 8 else "complex64")
            kind = real_dtype(kind) if real else wide
        return jnp.zeros_like(jnp.asarray(leaf), dtype=kind)

    return jax.tree.map(zeros, tree)


def abs_squared(x: jax.Array) -> jax.Array:
    """|x|², real also for complex x, with a gradient everywhere."""
    return jnp.real(x * jnp.conj(x)) if jnp.iscomplexobj(x) else x * x


@jax.custom_jvp
def safe_sqrt(x: jax.Array) -> jax.Array:
    """√x whose gradient at 0 is 0 instead of infinity.

    Example:
        >>> float(jax.grad(safe_sqrt)(0.0))
        0.0
    """
    return jnp.sqrt(x)


@safe_sqrt.defjvp
def _safe_sqrt_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    positive = x > 0
    slope = jnp.where(positive, 0.5 / safe_sqrt(jnp.where(positive, x, jnp.ones_like(x))), jnp.zeros_like(x))
    return safe_sqrt(x), slope * dx


def safe_divide(x: jax.Array, y: jax.Array) -> jax.Array:
    """x / y, and 0 where y is 0, with finite gradients everywhere.

    Example:
        >>> safe_divide(jnp.array([1.0, 0.0]), jnp.array([2.0, 0.0]))
        Array([0.5, 0. ], dtype=float32)
    """
    zero = y == 0
    return jnp.where(zero, jnp.zeros_like(x), x / jnp.where(zero, jnp.ones_like(y), y))


def path_name(path: tuple) -> str:
    """The path of a leaf as one string: `layers_0/kernel`.

    Example:
        >>> [path_name(path) for path, _ in jax.tree.leaves_with_path({"dense": {"kernel": 1.0}})]
        ['dense/kernel']
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def weights_only(params: Tree) -> Tree:
    """Mask of what is usually decayed: True for leaves of rank ≥ 2 that are no normalization `scale`.

    Source: rows S4-37 and S3-33 of the notes; biases and normalization parameters are left alone.

    Example:
        >>> weights_only({"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)})
        {'bias': False, 'kernel': True}
    """
    return where_path(lambda name, leaf: jnp.ndim(leaf) >= 2 and name.split("/")[-1] != "scale")(params)


def where_path(predicate: Callable[[str, Any], bool]) -> Mask:
    """A mask from a predicate on each leaf's path and value.

    Arguments:
        predicate: called with the path ("layers_0/kernel") and the leaf; returns a bool.

    Example:
        >>> where_path(lambda name, leaf: name.endswith("bias"))({"kernel": 1.0, "bias": 2.0})
        {'bias': True, 'kernel': False}
    """
    return _PathMask(predicate)


@dataclasses.dataclass(frozen=True)
class _PathMask:
    """A predicate on paths as a mask: equal when the predicate is, so it is structure of a record."""

    predicate: Callable[[str, Any], bool]

    def __call__(self, params: Tree) -> Tree:
        return jax.tree.map_with_path(lambda path, leaf: bool(self.predicate(path_name(path), leaf)), params)


class _TreeMask:
    """A tree of bools as a function: hashable and comparable, hence structure of a record."""

    def __init__(self, tree: Tree):
        leaves, self.treedef = jax.tree.flatten(tree)
        self.leaves = tuple(bool(leaf) for leaf in leaves)

    def __call__(self, params: Tree) -> Tree:
        return jax.tree.unflatten(self.treedef, self.leaves)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TreeMask) and (self.treedef, self.leaves) == (other.treedef, other.leaves)

    def __hash__(self) -> int:
        return hash((self.treedef, self.leaves))

    def __repr__(self) -> str:
        return repr(self(None))


def as_mask(mask: Any) -> Any:
    """A mask as a static field: `None` (all leaves), a function of the parameters, or a tree of bools."""
    return mask if mask is None or callable(mask) else _TreeMask(mask)

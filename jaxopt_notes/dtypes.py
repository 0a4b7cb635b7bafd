"""Which leaves of a pytree take part in training, and in which dtype to compute with them.

A tree here is anything that JAX calls a pytree. Its leaves may be arrays, NumPy arrays, Python numbers or
`None` (a missing gradient). Leaves that are not real or complex floating point are never changed.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

Tree = Any


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
        wide = [dtype for dtype in dtypes if not _is_narrow(dtype)]  # JAX promotes no float8, float6, float4
        return functools.reduce(jnp.promote_types, wide, np.dtype("float32"))


def _is_narrow(dtype: np.dtype) -> bool:
    """Whether this is a floating dtype of less than 32 bits, all of whose numbers float32 has too."""
    return dtype.itemsize < 4 and jnp.issubdtype(dtype, jnp.floating)


def real_dtype(dtype: DTypeLike) -> np.dtype:
    """The dtype of the absolute value of a number of `dtype`."""
    return jnp.finfo(dtype).dtype


def as_hyperparameter(value: Any) -> jax.Array:
    """A hyperparameter as an array of float32 (float64 under x64), never weakly typed.

    In a parameter's own dtype it would lose its meaning: bfloat16 rounds 0.999 to 1.
    """
    return jnp.asarray(value, dtype=jnp.result_type(float))


def cast_and_fits(array: Any, dtype: DTypeLike, *, rounded: bool) -> tuple[np.ndarray, np.ndarray]:
    """An array in another dtype, and which of its numbers that holds: exactly, or as finite as they were.

    Example:
        >>> cast_and_fits(np.array([2**40, 3]), np.int32, rounded=False)[1]
        array([False,  True])
    """
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
        if rounded:
            return cast, np.isfinite(cast) == np.isfinite(array)
        back = cast.astype(array.dtype)
        return cast, (back == array) | ((back != back) & (array != array))


def cast_like(value: Any, like: Any) -> jax.Array:
    """`value` in the dtype and the weak type of `like`, so that a loop carrying it traces once."""
    like = jnp.asarray(like)
    value = jnp.asarray(value).astype(like.dtype)
    if like.weak_type:  # lax.full_like is the public way to a weakly typed array, for scalars only
        return jnp.vectorize(lambda x: lax.full_like(jnp.asarray(_zero_of(like.dtype)), x))(value)
    return value


def _zero_of(dtype: DTypeLike) -> complex:
    return {"f": 0.0, "c": 0j, "i": 0, "u": 0, "b": False}[np.dtype(dtype).kind]


def zeros_like(tree: Tree, dtype: DTypeLike | None = None, *, real: bool = False) -> Tree:
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

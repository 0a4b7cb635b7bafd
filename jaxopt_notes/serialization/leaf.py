"""One leaf of a pytree as a plain NumPy array and its kind, a short text that says what it was.

NumPy's file format knows neither typed keys nor the extension dtypes of `ml_dtypes` (bfloat16, float8, int4,
…), and nothing in it tells a JAX array from a NumPy array or from Python's 3. Kinds are

    key threefry2x32                  typed keys of that generator, stored as their words
    jax, jax bfloat16                 a JAX array; of an extension dtype, its bits as unsigned integers
    numpy, numpy bfloat16             a NumPy array, likewise
    scalar, scalar bfloat16           a NumPy scalar, likewise
    bool, int, float, complex         a number of Python's
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

NUMBERS = {"bool": bool, "int": int, "float": float, "complex": complex}
NUMERIC = "biufc"  # NumPy's kinds of dtypes that arrays of JAX have
# Extension dtypes that jax.numpy names, but of which XLA makes no arrays (jax 0.10).
_WITHOUT_BUFFERS = {"int1", "uint1", "float6_e2m3fn", "float6_e3m2fn"}


class Encoded(NamedTuple):
    """A leaf as NumPy's format can hold it, and its kind."""

    array: np.ndarray
    kind: str


def encode(name: str, leaf: Any, plain: str = NUMERIC) -> Encoded:
    """A leaf as a plain array and its kind.

    Arguments:
        name: the leaf's path, for errors.
        leaf: an array of JAX or NumPy, typed keys, or a number.
        plain: kinds of NumPy dtypes that are let through as they are.

    Raises:
        TypeError: it is none of these. ValueError: an array of which this process has only a part.

    Example:
        >>> encode("w", jnp.ones(2, jnp.bfloat16))
        Encoded(array=array([16256, 16256], dtype=uint16), kind='jax bfloat16')
        >>> decode("w", *encode("w", jnp.ones(2, jnp.bfloat16)))
        Array([1, 1], dtype=bfloat16)
    """
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        raise ValueError(
            f"leaf {name} is spread over several processes, expected an array that this one has whole: "
            "gather it with jax.experimental.multihost_utils.process_allgather, or write an orbax checkpoint."
        )
    if is_key(leaf):
        impl = jax.random.key_impl(leaf)
        if not isinstance(impl, str):
            raise TypeError(f"leaf {name} has keys of {impl!r}, expected a generator that JAX knows by name.")
        return Encoded(np.asarray(jax.random.key_data(leaf)), f"key {impl}")
    array = np.asarray(leaf)
    if getattr(leaf, "dtype", array.dtype) != array.dtype:  # int1: JAX names it, but has no such numbers
        raise TypeError(f"leaf {name} is {leaf.dtype}, of which JAX gives {array.dtype}: convert it first.")
    origin = _origin(leaf)
    if is_extension(array.dtype):
        return Encoded(array.view(f"u{array.dtype.itemsize}"), f"{origin} {array.dtype.name}")
    if array.dtype.kind not in plain:
        wide = isinstance(leaf, int)
        raise TypeError(
            f"leaf {name} is {leaf!r}, expected "
            + ("an integer of at most 64 bits." if wide else "an array or a number.")
        )
    return Encoded(array, origin)


def decode(name: str, array: np.ndarray, kind: str) -> Any:
    """The leaf that `encode` was given; a JAX array of 64 bits stays one without x64 too.

    Raises:
        ValueError: array and kind do not belong together, as in a damaged file.
    """
    what, _, detail = kind.partition(" ")
    if what == "key":
        words: Any = array  # jnp.asarray would compile a program for each shape
        try:
            return jax.random.wrap_key_data(words, impl=detail)
        except (ValueError, TypeError) as error:
            raise ValueError(f"leaf {name} cannot be keys of {detail!r}: {error}") from error
    array = array.view(decoded_dtype(name, array.dtype, kind))
    if what == "jax":
        return as_jax(name, array)
    if what in NUMBERS and array.shape == ():
        return NUMBERS[what](array[()])
    return array[()] if what == "scalar" else array


def decoded_dtype(name: str, dtype: np.dtype, kind: str) -> np.dtype:
    """The dtype of an array whose stored form has `dtype`; keys keep that of their words.

    Raises:
        ValueError: the kind names no extension dtype of that size.
    """
    what, _, detail = kind.partition(" ")
    if what == "key" or not detail:
        return dtype
    try:
        found = np.dtype(detail)
    except TypeError:
        found = dtype
    if not is_extension(found) or found.itemsize != dtype.itemsize:
        raise ValueError(f"leaf {name} is {dtype}, which cannot be the dtype noted for it, {detail!r}.")
    return found


def as_jax(name: str, array: np.ndarray) -> jax.Array:
    """The array on JAX's default device in its own dtype, whether x64 is switched on or not."""
    try:
        with jax.enable_x64(True):
            return jax.device_put(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, NotImplementedError, jax.errors.JaxRuntimeError) as error:
        raise ValueError(
            f"leaf {name} is {array.dtype}, which JAX cannot hold: expect it as a NumPy array."
        ) from error


def is_jax_dtype(dtype: np.dtype) -> bool:
    """Whether JAX holds arrays of this dtype with the present setting of x64."""
    name = dtype.name
    known = hasattr(jnp, name) and name not in _WITHOUT_BUFFERS
    return known and jax.dtypes.canonicalize_dtype(dtype) == dtype.newbyteorder("=")


def is_extension(dtype: np.dtype) -> bool:
    """Whether a dtype was added to NumPy by another package, such as `ml_dtypes`."""
    return dtype.isbuiltin == 2


def is_key(leaf: Any) -> bool:
    """Whether a leaf is an array of typed keys, or the shape of one."""
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _origin(leaf: Any) -> str:
    if isinstance(leaf, jax.Array):
        return "jax"
    if isinstance(leaf, np.generic):
        return "scalar"
    return type(leaf).__name__ if type(leaf).__name__ in NUMBERS else "numpy"

"""Products in half precision, whose gradients are products in half precision too.

A product of bfloat16 factors is summed in float32, and rounded at the end of a layer. Differentiation sees a
float32 result, so by itself it would multiply float32 gradients with the factors, at half the speed that a
GPU has for bfloat16. But the gradient that comes back through the rounding is a bfloat16 number already:
nothing is lost by multiplying it as one.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.custom_derivatives import SymbolicZero

from jaxopt_notes.dtypes import compute_dtype

__all__: list[str] = []

Product = Callable[[jax.Array, jax.Array, Any], jax.Array]


def half_product(product: Product, a: jax.Array, b: jax.Array) -> jax.Array:
    """A product in at least float32, that will be rounded to the dtype of its factors.

    Arguments:
        product: bilinear, called (a, b, dtype of the result).
        a, b: the factors, of one dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> a = jnp.ones((1, 2), jnp.bfloat16)
        >>> y = half_product(lambda a, b, kind: jnp.matmul(a, b, preferred_element_type=kind), a, a.T)
        >>> y.dtype
        dtype('float32')
    """
    wide = compute_dtype(a, b)
    if a.dtype == wide or a.dtype != b.dtype:
        return product(a, b, wide)
    narrow = a.dtype

    @jax.custom_jvp
    def multiply(a: jax.Array, b: jax.Array) -> jax.Array:
        return product(a, b, wide)

    def tangent(primals: tuple, tangents: tuple) -> tuple:
        (a, b), (da, db) = primals, tangents
        by_a = None if isinstance(da, SymbolicZero) else product(da, b, narrow)
        by_b = None if isinstance(db, SymbolicZero) else product(a, db, narrow)
        total = by_b if by_a is None else by_a if by_b is None else by_a + by_b
        assert total is not None  # it is not called where neither factor moves
        return multiply(a, b), total.astype(wide)

    multiply.defjvp(tangent, symbolic_zeros=True)
    return multiply(a, b)

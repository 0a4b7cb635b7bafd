"""The square root of a symmetric positive definite matrix, and its inverse, with derivatives everywhere.

They are unique, unlike eigenvectors, and so is their derivative where eigenvalues coincide; that of an
eigendecomposition is not defined there.
"""

from typing import Any

import jax
import jax.numpy as jnp


@jax.custom_jvp
def symmetric_roots(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """C^½ and C^−½ of a symmetric positive definite C; eigenvalues below rounding are raised to it.

    Example:
        >>> symmetric_roots(jnp.diag(jnp.array([4.0, 1.0])))[0]
        Array([[2., 0.],
               [0., 1.]], dtype=float32)
    """
    vectors, root = _decompose(matrix)
    return _back(vectors, jnp.diag(root)), _back(vectors, jnp.diag(1 / root))


@symmetric_roots.defjvp
def _symmetric_roots_jvp(primals: tuple, tangents: tuple) -> tuple:
    (matrix,), (change,) = primals, tangents
    vectors, root = _decompose(matrix)
    inside = _back(vectors.T, (change + change.T) / 2)
    slope = inside / (root[:, None] + root[None, :])  # (√a − √b)/(a − b) = 1/(√a + √b)
    inverse_slope = -slope / (root[:, None] * root[None, :])
    return symmetric_roots(matrix), (_back(vectors, slope), _back(vectors, inverse_slope))


def _decompose(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    values, vectors = jnp.linalg.eigh(matrix)
    floor = jnp.finfo(matrix.dtype).eps * jnp.max(jnp.abs(values)) + jnp.finfo(matrix.dtype).tiny
    return vectors, jnp.sqrt(jnp.maximum(values, floor))


def _back(vectors: jax.Array, inside: Any) -> jax.Array:
    """V·M·Vᵀ."""
    left = jnp.matmul(vectors, inside, precision="highest")
    return jnp.matmul(left, vectors.T, precision="highest")

"""Eigenvectors of matrices that grow while training: from scratch, and followed from one step to the next.

Both are orthonormal bases, and both have derivatives everywhere: where eigenvalues coincide, where the
matrix is 0 or of too small a rank, the directions that nothing determines are taken to stand still.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.numerics import precise_matmul, safe_divide


@jax.custom_jvp
def eigenvectors(a: jax.Array) -> jax.Array:
    """The eigenvectors of a Hermitian matrix as columns, largest eigenvalue first.

    Example:
        >>> print(jnp.abs(eigenvectors(jnp.diag(jnp.array([1.0, 5.0])))))
        [[0. 1.]
         [1. 0.]]
    """
    return jnp.flip(jnp.linalg.eigh(a)[1], axis=1)


@eigenvectors.defjvp
def _eigenvectors_jvp(primals: tuple, tangents: tuple) -> tuple:
    (a,), (da,) = primals, tangents
    q = eigenvectors(a)
    adjoint = jnp.conj(q).T
    values = jnp.real(jnp.diagonal(_turned(adjoint, a, q)))
    gaps = values[None, :] - values[:, None]
    gaps = jnp.where(jnp.abs(gaps) > _noise(values), gaps, jnp.zeros_like(gaps)).astype(q.dtype)
    return q, precise_matmul(q, safe_divide(_turned(adjoint, da, q), gaps))


@jax.custom_jvp
def orthogonalized(a: jax.Array) -> jax.Array:
    """The columns of a square matrix made orthonormal, one after the other: Q of A = Q·R.

    Example:
        >>> print(jnp.abs(orthogonalized(jnp.array([[2.0, 1.0], [0.0, 3.0]]))))
        [[1. 0.]
         [0. 1.]]
    """
    return jnp.linalg.qr(a)[0]


@orthogonalized.defjvp
def _orthogonalized_jvp(primals: tuple, tangents: tuple) -> tuple:
    (a,), (da,) = primals, tangents
    q = orthogonalized(a)
    adjoint = jnp.conj(q).T
    r = jnp.triu(precise_matmul(adjoint, a))
    size = jnp.abs(jnp.diagonal(r))
    known = (size > _noise(size)).astype(r.dtype)  # the others have no direction of their own
    inverse = lax.linalg.triangular_solve(
        r * known[:, None] + jnp.diag(1 - known), jnp.eye(len(r), dtype=r.dtype), left_side=True
    )
    turn = jnp.tril(_turned(adjoint, da, inverse * known[None, :]), -1)
    return q, precise_matmul(q, turn - jnp.conj(turn).T)


def _turned(left: jax.Array, a: jax.Array, right: jax.Array) -> jax.Array:
    return precise_matmul(precise_matmul(left, a), right)


def _noise(sizes: jax.Array) -> jax.Array:
    """What is not more than this is rounding."""
    largest = jnp.max(jnp.abs(sizes), initial=0.0)
    return largest * len(sizes) * jnp.finfo(sizes.dtype).eps


def followed(a: jax.Array, basis: jax.Array) -> jax.Array:
    """A basis near the eigenvectors brought nearer, by one step of orthogonal iteration.

        Q ← orthonormal columns of A·Q

    Example:
        >>> a, basis = jnp.array([[2.0, 0.1], [0.1, 1.0]]), jnp.eye(2)
        >>> for _ in range(30):
        ...     basis = followed(a, basis)
        >>> print(f"{jnp.abs(basis.T @ a @ basis)[0, 1]:.4f}")
        0.0000
    """
    return orthogonalized(precise_matmul(a, basis))

"""Newton–Schulz iterations: a matrix made orthogonal by matrix products alone.

Each iteration applies an odd polynomial a·σ + b·σ³ + c·σ⁵ to all singular values σ and leaves the singular
vectors as they are. One that has 1 as an attracting fixed point leads to U·Vᵀ, the nearest orthogonal matrix;
one that is steep at 0 gets near it in few steps, and stays there only roughly.
"""

import functools
import math

import jax
import jax.numpy as jnp

from jaxopt_notes.norms import global_norm
from jaxopt_notes.record import Number
from jaxopt_notes.sharding import placed_like, whole

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # steep at 0: five steps lead from 0.005 … 1 to 0.68 … 1.16


def as_matrix(x: jax.Array) -> jax.Array:
    """All axes but the last as one, for kernels whose last axis is that of the outputs; never cut.

    Example:
        >>> as_matrix(jnp.zeros((3, 3, 16, 32))).shape
        (144, 32)
    """
    return whole(x).reshape(math.prod(x.shape[:-1]), *x.shape[-1:] or (1,))


def as_leaf(matrix: jax.Array, like: jax.Array) -> jax.Array:
    """The way back from `as_matrix`: the shape of a leaf, cut over devices as it is."""
    return placed_like(matrix.reshape(like.shape), like)


def newton_schulz(
    x: jax.Array, coefficients: tuple, eps: Number = 1e-8, precision: str = "highest"
) -> jax.Array:
    """A matrix with its singular values brought near 1.

        X ← X/(‖X‖ + eps),     X ← a·X + (b·A + c·A²)·X with A = X·Xᴴ        for each (a, b, c)

    Arguments:
        x: [m, n]; ‖X‖ is the root of the sum of all squares.
        coefficients: a triple for each iteration. Many times (15/8, −5/4, 3/8) gives U·Vᵀ itself.
        eps: added to the norm.
        precision: of the products. On GPU and TPU "default" is faster and has three digits: the end of the
            iterations is 1e-3 to 1e-2 from orthogonal instead of 1e-6. Steep coefficients never come so near.

    Example:
        >>> x = jnp.array([[3.0, 0.0], [0.0, -0.5]])
        >>> [f"{value:.3f}" for value in jnp.diag(newton_schulz(x, ((1.875, -1.25, 0.375),) * 10))]
        ['1.000', '-1.000']
    """
    norm = global_norm(x)
    x = x / (norm + jnp.asarray(eps).astype(norm.dtype)).astype(x.dtype)
    product = functools.partial(jnp.matmul, precision=precision)
    tall = x.shape[0] > x.shape[1]  # the smaller product, and no copy of x transposed
    for a, b, c in coefficients:
        adjoint = jnp.conj(x).T
        gram = product(adjoint, x) if tall else product(x, adjoint)
        polynomial = b * gram + c * product(gram, gram)
        x = a * x + (product(x, polynomial) if tall else product(polynomial, x))
    return x

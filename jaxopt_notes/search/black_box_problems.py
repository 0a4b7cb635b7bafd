"""Test functions for searches: several valleys, known minima, and nothing to go by but values.

Plain functions of points of the unit cube [..., d] with values [...], minimized. Bayesian searches are
compared on them.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import compute_dtype

_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = np.array(
    [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ]
)


def branin(u: jax.Array) -> jax.Array:
    """Branin's function of two variables: three minima of equal depth, 0.397887.

        f = (y − 5.1·x²/(4π²) + 5·x/π − 6)² + 10·(1 − 1/(8π))·cos x + 10
        x = 15·u₁ − 5,   y = 15·u₂

    Arguments:
        u: points of the unit square [..., 2]; the minima are at (x, y) = (−π, 12.275), (π, 2.275) and
            (3π, 2.475).

    Example:
        >>> print(f"{branin(jnp.array([(jnp.pi + 5) / 15, 2.275 / 15])):.4f}")
        0.3979

    Source: Branin 1972; the form of Jones, Schonlau & Welch 1998.
    """
    point = jnp.asarray(u, compute_dtype(u))
    x, y = 15 * point[..., 0] - 5, 15 * point[..., 1]
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * jnp.cos(x) + 10


def hartmann6(u: jax.Array) -> jax.Array:
    """Hartmann's function of six variables: six minima, the least −3.32237.

        f = −Σᵢ αᵢ·exp(−Σⱼ Aᵢⱼ·(uⱼ − Pᵢⱼ)²)

    Arguments:
        u: points of the unit cube [..., 6]; the minimum is at (0.20169, 0.150011, 0.476874, 0.275332,
            0.311652, 0.6573).

    Example:
        >>> print(f"{hartmann6(jnp.array([0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573])):.4f}")
        -3.3224

    Source: Hartman 1973; the constants of Dixon & Szegő 1978.
    """
    point = jnp.asarray(u, compute_dtype(u))
    a, p, alpha = (jnp.asarray(table, point.dtype) for table in (_A, _P, _ALPHA))
    shape = (1,) * (point.ndim - 1) + a.shape
    squares = a.reshape(shape) * (point[..., None, :] - p.reshape(shape)) ** 2
    bumps = jnp.exp(-jnp.sum(squares, axis=-1))
    return -jnp.sum(alpha.reshape(shape[:-1]) * bumps, axis=-1)


BLACK_BOX_PROBLEMS = {"branin": branin, "hartmann6": hartmann6}

"""The spectral ball: no direction of a matrix is lengthened by more than a factor.

The projection cuts the singular values and leaves the singular vectors. It is differentiable although these
are not where two singular values are equal: what is differentiated is the matrix as a whole.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.numerics import precise_matmul
from jaxopt_notes.projections.elements import each
from jaxopt_notes.record import Number, check_number

__all__ = ["project_spectral_ball"]


def project_spectral_ball(tree: Tree, radius: Number = 1.0) -> Tree:
    """The nearest matrix that lengthens no vector by more than a factor r: a bound on Lipschitz constants.

        W = U·diag(σ)·Vᵀ  ←  U·diag(min(σ, r))·Vᵀ

    Arguments:
        tree: kernels [..., units], each by itself, as matrices [inputs, units]; leaves of rank < 2 (biases)
            stay as they are.
        radius: r ≥ 0.

    Example:
        >>> print(project_spectral_ball(jnp.array([[0.0, 3.0], [0.5, 0.0]]), 1.0))
        [[0.  1. ]
         [0.5 0. ]]

    Source: Lefkimmiatis, Ward & Unser 2013, proposition 1; Yoshida & Miyato 2017 for the penalty.

    Elsewhere: `spectral_norm`, the layer, divides by the largest singular value instead, small ones too.
    """
    check_number("project_spectral_ball(radius)", radius, "[0, inf)")

    def matrix(x: jax.Array, r: jax.Array) -> jax.Array:
        if x.ndim < 2 or not x.size:
            return x
        return _cut(x.reshape(-1, x.shape[-1]), r).reshape(x.shape)

    return each(matrix, tree, radius)


@jax.custom_jvp
def _cut(w: jax.Array, r: jax.Array) -> jax.Array:
    return _parts(w, r)[-1]


def _parts(w: jax.Array, r: jax.Array) -> tuple[Any, ...]:
    unit = jnp.max(jnp.abs(w))  # the decomposition squares entries
    unit = jnp.where((unit > 0) & jnp.isfinite(unit), unit, 1)
    u, s, vh = jnp.linalg.svd(w / unit.astype(w.dtype), full_matrices=False)
    s = s * unit
    inside = s[0] <= r
    cut = jnp.minimum(s, r)
    return u, s, vh, jnp.where(inside, w, _composed(u, cut, vh))


def _composed(u: jax.Array, values: jax.Array, vh: jax.Array) -> jax.Array:
    """u·diag(values)·vh."""
    return _product(u * values.astype(u.dtype)[None, :], vh)


def _product(*matrices: jax.Array) -> jax.Array:
    return functools.reduce(precise_matmul, matrices)


@_cut.defjvp
def _cut_jvp(primals: tuple, tangents: tuple) -> tuple:
    """Divided differences of min(σ, r) between singular values (Daleckii & Krein 1965).

    In the basis of singular vectors the symmetric part of a change is multiplied by (f(a) − f(b))/(a − b),
    the skew part by (f(a) + f(b))/(a + b), and what leads out of that basis by f(a)/a.
    """
    (w, r), (dw, dr) = primals, tangents
    u, s, vh, projected = _parts(w, r)
    f = jnp.minimum(s, r)
    a, b = s[:, None], s[None, :]
    over = (a > r).astype(s.dtype), (b > r).astype(s.dtype)
    apart = jnp.where((a > r) == (b > r), 1, a - b)
    between = (f[:, None] - f[None, :]) / apart
    symmetric = jnp.where(over[0] == over[1], 1 - over[0], between)
    total = jnp.where(a + b > 0, a + b, 1)
    skew = jnp.where(a + b > 0, (f[:, None] + f[None, :]) / total, 1)
    ratio = jnp.where(s > 0, f / jnp.where(s > 0, s, 1), 1)

    uh, v = jnp.conj(u.T), jnp.conj(vh.T)
    core = _product(uh, dw, v)
    other = jnp.conj(core.T)
    core = symmetric.astype(w.dtype) * (core + other) / 2 + skew.astype(w.dtype) * (core - other) / 2
    left = _product(dw, v)
    left = left - _product(u, _product(uh, left))
    right = _product(uh, dw)
    right = right - _product(right, v, vh)
    moved = _product(u, core, vh) + _composed(left, ratio, vh) + _composed(u, ratio, right)
    with_radius = _composed(u, s > r, vh) * dr.astype(w.dtype)
    return projected, moved + with_radius

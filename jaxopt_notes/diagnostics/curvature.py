"""Curvature without the Hessian: its products with vectors, its trace, its spectrum, the largest stable rate.

A product with the Hessian H costs about two gradients and no more memory than they do, where the matrix has
n² entries. The method of Lanczos makes of m products a small matrix that is H seen from m directions. Its
eigenvalues find the ends of the spectrum first, and with their weights they say how the rest is distributed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.optimizers.core.hessian_diagonal import hutchinson
from jaxopt_notes.optimizers.core.trainable import merge, moving, ravel, scalar
from jaxopt_notes.record import Number, check_count

__all__ = [
    "HessianSpectrum",
    "hessian_spectrum",
    "hessian_trace",
    "hessian_vector_product",
    "largest_stable_rate",
    "sharpness",
]

Loss = Callable[..., Any]


class HessianSpectrum(NamedTuple):
    """What m products with the Hessian say of its eigenvalues.

    Arguments:
        values: [m], estimates of eigenvalues, the least one first. Those at the ends are the best.
        weights: [m], sum 1: the squared share of the random start in each, so Σ weights·f(values) estimates
            the mean of f over all eigenvalues (exactly for polynomials of degree 2m − 1, for this start).
        errors: [m], bounds: an eigenvalue lies no further than this from each estimate, up to rounding.

    Example:
        >>> spectrum = HessianSpectrum(jnp.array([-1.0, 3.0]), jnp.array([0.5, 0.5]), jnp.zeros(2))
        >>> print(spectrum.smallest, spectrum.largest)
        -1.0 3.0
    """

    values: jax.Array
    weights: jax.Array
    errors: jax.Array

    @property
    def smallest(self) -> jax.Array:
        """The least eigenvalue, seen from above: the estimate is never below it."""
        return self.values[..., 0]

    @property
    def largest(self) -> jax.Array:
        """The largest eigenvalue, seen from below: the estimate is never above it."""
        return self.values[..., -1]

    def density(self, at: ArrayLike, width: Number) -> jax.Array:
        """The spectral density at t, the mean over starts: p(t) = Σ weightsᵢ·N(t; valuesᵢ, width²)."""
        t = jnp.asarray(at).astype(self.values.dtype)
        width = as_hyperparameter(width).astype(t.dtype)
        weights = self.weights.ravel() / (self.values.size // self.values.shape[-1])
        heights = jax.scipy.stats.norm.pdf(jnp.subtract.outer(t, self.values.ravel()) / width) / width
        return jnp.matmul(heights, weights, precision="highest")


def of_vector(loss: Loss, params: Tree, args: tuple) -> tuple[Callable, jax.Array, Callable]:
    """The loss of the vector of all that is floating-point, that vector, and the way back."""
    here, _ = moving(params, params)
    x, unravel = ravel(here)
    return lambda x: scalar(loss(merge(unravel(x), params), *args), x.dtype), x, unravel


def _product(loss: Callable, x: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """v ↦ H·v at x, in full precision also where matrix products are of bfloat16 by default."""
    with jax.default_matmul_precision("highest"):
        return jax.linearize(jax.grad(loss), x)[1]


def hessian_vector_product(loss: Loss, params: Tree, vector: Tree, *args: Any) -> Tree:
    """The Hessian of a loss times a vector, without the Hessian.

        H·v = d/dε ∇L(θ + εv) at ε = 0

    Arguments:
        loss: `loss(params, *args) -> scalar`; called with parameters in at least float32.
        params: a tree; leaves that are not floating-point stand still. The real and the imaginary part of a
            complex number are two parameters.
        vector: v, a tree like the parameters.
        *args: what else the loss takes, such as x and y.

    Returns:
        A tree like the parameters, of at least float32, `None` for leaves that stand still.

    Example:
        >>> loss = lambda params: params["a"] ** 2 * params["b"]  # H = [[2b, 2a], [2a, 0]]
        >>> params, v = {"a": 1.0, "b": 3.0}, {"a": 1.0, "b": 10.0}
        >>> print(hessian_vector_product(loss, params, v)["a"])
        26.0

    Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian".
    """
    function, x, unravel = of_vector(loss, params, args)
    v, _ = ravel(moving(vector, params)[0])
    return unravel(_product(function, x)(v))


def hessian_trace(
    loss: Loss, params: Tree, key: jax.Array, *args: Any, probes: int = 16
) -> tuple[jax.Array, jax.Array]:
    """The sum of the Hessian's eigenvalues, estimated.

        tr H = E vᵀHv,     v random signs

    Arguments:
        loss, params, *args: see `hessian_vector_product`.
        key: a typed random key.
        probes: how many vectors, at least 2, one after the other; static.

    Returns:
        (estimate, its standard error). Exact where the Hessian is diagonal; else the variance of one probe is
        2·Σ hᵢⱼ² over i ≠ j.

    Raises:
        ValueError: fewer than 2 probes. TypeError: they are no whole number.

    Example:
        >>> estimate, error = hessian_trace(lambda x: jnp.sum(x**2), jnp.ones(3), jax.random.key(0))
        >>> print(estimate, error)
        6.0 0.0

    Source: Hutchinson 1990.
    """
    probes = check_count("hessian_trace(probes)", probes, 2, "one has no standard error")
    here, _ = moving(params, params)

    def probe(key: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            diagonal = hutchinson(lambda x: loss(merge(x, params), *args), here, key)
        return jnp.sum(ravel(diagonal)[0])

    found = lax.map(probe, jax.random.split(key, probes))
    return jnp.mean(found), jnp.std(found, ddof=1) / probes**0.5


def hessian_spectrum(
    loss: Loss, params: Tree, key: jax.Array, *args: Any, steps: int = 32
) -> HessianSpectrum:
    """Extreme eigenvalues of the Hessian and its spectral density, by the method of Lanczos.

        H·Q = Q·T + rest,     Q orthonormal, T tridiagonal [m, m]

    Arguments:
        loss, params, *args: see `hessian_vector_product`.
        key: a typed random key, of the first direction.
        steps: m, static; no more than there are parameters are made. Memory is m·n numbers.

    Returns:
        A `HessianSpectrum`. Every direction is made orthogonal to all before it, so no eigenvalue appears
        twice that is single. With m = n it is the whole spectrum, repeated eigenvalues included. For a mean
        over starts, `vmap` it over keys.

    Raises:
        ValueError: no parameters, or no steps. TypeError: steps are no whole number.

    Example:
        >>> curvatures = jnp.array([-1.0, 2.0, 5.0])
        >>> loss = lambda x: jnp.sum(curvatures * x**2 / 2)
        >>> spectrum = hessian_spectrum(loss, jnp.zeros(3), jax.random.key(0))
        >>> print([f"{value:.3f}" for value in spectrum.values])
        ['-1.000', '2.000', '5.000']

    Source: Golub & Van Loan 2013, section 10.1; Ghorbani, Krishnan & Xiao 2019 for the density.
    """
    steps = check_count("hessian_spectrum(steps)", steps, 1)
    function, x, _ = of_vector(loss, params, args)
    if not x.size:
        raise ValueError("hessian_spectrum(params) has no floating-point leaf, expected at least one.")
    return _lanczos(_product(function, x), x, key, min(steps, x.size))


def _lanczos(product: Callable, like: jax.Array, key: jax.Array, steps: int) -> HessianSpectrum:
    n, kind = like.size, like.dtype
    first, again = jax.random.split(key)
    eps, least = (jnp.asarray(number, kind) for number in (jnp.finfo(kind).eps, jnp.finfo(kind).tiny))

    def orthogonal(v: jax.Array, rows: jax.Array) -> jax.Array:
        for _ in range(2):  # twice is enough
            along = jnp.matmul(rows, v, precision="highest")
            v = v - jnp.matmul(along, rows, precision="highest")
        return v

    def unit(v: jax.Array) -> jax.Array:
        return v / jnp.maximum(jnp.linalg.norm(v), least)

    def step(carry: tuple, i: jax.Array) -> tuple:
        rows, q, scale = carry
        rows = rows.at[i].set(q)
        w = product(q)
        alpha = jnp.vdot(q, w, precision="highest")
        w = orthogonal(w, rows)
        beta = jnp.linalg.norm(w)
        scale = jnp.maximum(scale, jnp.maximum(jnp.abs(alpha), beta))
        # Nothing new is left in what H makes of these directions: begin again, orthogonal to them.
        goes_on = beta > 8 * eps * scale
        fresh = jax.random.normal(jax.random.fold_in(again, i), (n,), kind)
        q = unit(orthogonal(unit(jnp.where(goes_on, w, fresh)), rows))
        return (rows, q, scale), (alpha, jnp.where(goes_on, beta, jnp.zeros_like(beta)))

    start = unit(jax.random.normal(first, (n,), kind))
    carry = (jnp.zeros((steps, n), kind), start, jnp.zeros((), kind))
    alpha: jax.Array
    beta: jax.Array
    with jax.default_matmul_precision("highest"):
        _, (alpha, beta) = lax.scan(step, carry, jnp.arange(steps))
        values, vectors = jnp.linalg.eigh(jnp.diag(alpha) + jnp.diag(beta[:-1], 1) + jnp.diag(beta[:-1], -1))
    return HessianSpectrum(values, vectors[0] ** 2, jnp.abs(beta[-1] * vectors[-1]))


def sharpness(loss: Loss, params: Tree, key: jax.Array, *args: Any, steps: int = 32) -> jax.Array:
    """The largest eigenvalue of the Hessian.

        λ_max(H) = max over v of vᵀHv / vᵀv

    Arguments:
        loss, params, key, *args, steps: see `hessian_spectrum`.

    Returns:
        A scalar, from below. Gradient descent with the rate η makes it rise until it is about 2/η, and stay
        there: the edge of stability.

    Raises:
        ValueError, TypeError: see `hessian_spectrum`.

    Example:
        >>> print(f"{sharpness(lambda x: 3 * x**2, 1.0, jax.random.key(0)):.1f}")
        6.0

    Source: Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of
    stability".
    """
    return hessian_spectrum(loss, params, key, *args, steps=steps).largest


def largest_stable_rate(loss: Loss, params: Tree, key: jax.Array, *args: Any, steps: int = 32) -> jax.Array:
    """The learning rate above which gradient descent leaves the neighbourhood of a minimum.

        η < 2/L,     L = λ_max(H)

    Arguments:
        loss, params, key, *args, steps: see `hessian_spectrum`.

    Returns:
        A scalar; infinite where no curvature is positive (by more than rounding). At 2/L itself the steepest
        direction oscillates for ever, above it grows, by the factor |1 − ηL| each step. Momentum β raises the
        limit to 2·(1 + β)/L.

    Raises:
        ValueError, TypeError: see `hessian_spectrum`.

    Example:
        >>> print(largest_stable_rate(lambda x: x**2, 1.0, jax.random.key(0)))
        1.0

    Source: Nesterov 2018, section 1.2.
    """
    values = hessian_spectrum(loss, params, key, *args, steps=steps).values
    top = values[..., -1]
    curved = top > 16 * jnp.finfo(top.dtype).eps * jnp.max(jnp.abs(values))  # more than rounding makes of 0
    return jnp.where(curved, 2 / jnp.where(curved, top, jnp.ones_like(top)), jnp.inf)

"""Acquisition functions: how much a point promises, given what a surrogate believes of it.

Each is a plain function of the mean and the standard deviation of f at a point, of the best value so far
and of a number that trades exploration against exploitation. Scores are minimized: an improvement is a
value below the best; of an acquisition the largest value wins. They work elementwise on arrays of one shape.

The mean alone is not an acquisition function: the point where E f is best is where much is known already
(the study notes say "maximize the expectation of f"; what is maximized is the expected
*improvement*).
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import erfcx, ndtr

from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.record import Number


def expected_improvement(mean: jax.Array, std: jax.Array, best: jax.Array, xi: Number = 0.0) -> jax.Array:
    """The expected improvement over the best value so far.

        EI = E max(b − ξ − f, 0) = σ·(z·Φ(z) + φ(z)),   z = (b − ξ − m)/σ

    Arguments:
        mean, std: m and σ ≥ 0 of f; where σ is 0 the improvement is max(b − ξ − m, 0).
        best: b, the least value so far.
        xi: ξ ≥ 0, an improvement that is not worth the effort.

    Example:
        >>> print(f"{expected_improvement(jnp.array(0.0), jnp.array(1.0), jnp.array(0.0)):.4f}")
        0.3989

    Source: Jones, Schonlau & Welch 1998, equation 15.

    Elsewhere: BoTorch's ExpectedImprovement, for maximization unless told otherwise.
    """
    gain = best - jnp.asarray(xi, mean.dtype) - mean
    z = safe_divide(gain, std)
    return jnp.where(std > 0, std * (z * ndtr(z) + _density(z)), jnp.maximum(gain, 0))


def log_expected_improvement(mean: jax.Array, std: jax.Array, best: jax.Array, xi: Number = 0.0) -> jax.Array:
    """The logarithm of the expected improvement, also where that is far below the least float.

        log EI = log σ + log h(z),   h(z) = z·Φ(z) + φ(z),   z = (b − ξ − m)/σ
        log h(z) = −z²/2 − ½·log 2π + log(1 + z·Φ(z)/φ(z))   for z < −1
                 ≈ −z²/2 − ½·log 2π − 2·log|z| + log(1 − 3/z² + 15/z⁴ − 105/z⁶)   far below

    Most of a space promises an EI of 0 in floating point, with no slope to climb; its logarithm has one.

    Arguments:
        mean, std, best, xi: as in `expected_improvement`; where σ is 0 it is log max(b − ξ − m, 0).

    Example:
        >>> print(f"{log_expected_improvement(jnp.array(50.0), jnp.array(1.0), jnp.array(0.0)):.1f}")
        -1258.7

    Source: Ament et al. 2023, equation 9.

    Elsewhere: BoTorch's LogExpectedImprovement.
    """
    gain = best - jnp.asarray(xi, mean.dtype) - mean
    certain = std <= 0
    sigma = jnp.where(certain, 1, std)
    improved = certain & (gain > 0)
    known = jnp.where(improved, jnp.log(jnp.where(improved, gain, 1)), -jnp.inf)
    return jnp.where(certain, known, jnp.log(sigma) + _log_h(jnp.where(certain, 0, gain / sigma)))


def probability_of_improvement(
    mean: jax.Array, std: jax.Array, best: jax.Array, xi: Number = 0.01
) -> jax.Array:
    """The probability that f is below the best value so far by more than ξ.

        PI = P(f < b − ξ) = Φ(z),   z = (b − ξ − m)/σ

    Arguments:
        mean, std, best: as in `expected_improvement`; where σ is 0 it is 0 or 1.
        xi: ξ; at 0 the search clings to the best point.

    Example:
        >>> print(f"{probability_of_improvement(jnp.array(0.0), jnp.array(1.0), jnp.array(0.0), 0.0):.1f}")
        0.5

    Source: Kushner 1964.

    Elsewhere: BoTorch's ProbabilityOfImprovement, without ξ.
    """
    gain = best - jnp.asarray(xi, mean.dtype) - mean
    return jnp.where(std > 0, ndtr(safe_divide(gain, std)), (gain > 0).astype(mean.dtype))


def upper_confidence_bound(mean: jax.Array, std: jax.Array, best: jax.Array, beta: Number = 2.0) -> jax.Array:
    """Optimism: the upper confidence bound of what is maximized, that is of −f.

        UCB = −(m − β·σ)

    Arguments:
        mean, std: m and σ of f.
        best: unused, the signature is common to all.
        beta: β ≥ 0, the standard deviations of optimism.

    Example:
        >>> upper_confidence_bound(jnp.array(3.0), jnp.array(1.0), jnp.array(0.0))
        Array(-1., dtype=float32)

    Source: Cox & John 1992; Srinivas et al. 2010, where β² is called β.

    Elsewhere: BoTorch's UpperConfidenceBound takes β², and maximizes.
    """
    return jnp.asarray(beta, mean.dtype) * std - mean


ACQUISITIONS = {
    "expected_improvement": expected_improvement,
    "log_expected_improvement": log_expected_improvement,
    "probability_of_improvement": probability_of_improvement,
    "upper_confidence_bound": upper_confidence_bound,
}


def _density(z: jax.Array) -> jax.Array:
    return jnp.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def _log_h(z: jax.Array) -> jax.Array:
    """log(z·Φ(z) + φ(z)) in three pieces, each with finite slopes where it is not used."""
    # The remainder of the series, 945/z⁸, then equals the cancellation in 1 + z·Φ/φ, eps·z².
    deep = -((945 / float(jnp.finfo(z.dtype).eps)) ** 0.1)
    right, far = z > -1, z < deep
    near = jnp.where(right, z, 0)
    middle = jnp.where(right | far, -1, z)
    inverse = 1 / jnp.where(far, z, deep) ** 2
    ratio = math.sqrt(math.pi / 2) * erfcx(-middle / math.sqrt(2))  # Φ/φ
    series = jnp.log(inverse) + jnp.log1p(inverse * (-3 + inverse * (15 - 105 * inverse)))
    below = -(z**2) / 2 - math.log(2 * math.pi) / 2 + jnp.where(far, series, jnp.log1p(middle * ratio))
    return jnp.where(right, jnp.log(near * ndtr(near) + _density(near)), below)

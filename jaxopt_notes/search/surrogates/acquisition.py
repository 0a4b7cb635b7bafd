"""Acquisition functions: how much a point promises, given what a surrogate believes of it.

Each is a plain function of the mean and the standard deviation of f at a point, of the best value so far,
of a number that trades exploration against exploitation, of the noise of an observation and of a power
that says how much that counts, elementwise on NumPy arrays. It returns a `Promise`: the value, and its
derivatives by mean and standard deviation, along which one climbs. Scores are minimized: an improvement is a
value below the best; of an acquisition the largest value wins.

The mean alone is not an acquisition function: the point where E f is best is where much is known already
(the study notes say "maximize the expectation of f"; what is maximized is the expected
*improvement*).
"""

import math
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike


class Promise(NamedTuple):
    """The value of an acquisition, and its derivatives by the mean and the standard deviation of f."""

    value: np.ndarray
    by_mean: np.ndarray
    by_std: np.ndarray


def expected_improvement(
    mean: ArrayLike, std: ArrayLike, best: ArrayLike, xi: float = 0.0, noise: float = 0.0, power: float = 1.0
) -> Promise:
    """The expected improvement over the best value so far.

        EI = E max(b − ξ − f, 0)·(1 − √v/√(σ² + v))ᵖ
           = σ·(z·Φ(z) + φ(z))·(1 − √v/√(σ² + v))ᵖ,   z = (b − ξ − m)/σ

    Arguments:
        mean, std: m and σ ≥ 0 of f; where σ is 0 the improvement is max(b − ξ − m, 0).
        best: b, the least value so far.
        xi: ξ ≥ 0, an improvement that is not worth the effort.
        noise: v ≥ 0, the variance of an observation about f. What it would teach is less by that factor:
            otherwise a search asks for its best point again and again, because noise keeps it uncertain.
        power: p ≥ 1. With a larger one a search asks farther from what it knows: steps so short that noise
            hides what they change teach no slope.

    Example:
        >>> print(f"{expected_improvement(0.0, 1.0, 0.0).value:.4f}")
        0.3989

    Source: Jones, Schonlau & Welch 1998, equation 15; Huang, Allen, Notz & Zeng 2006, equation 13 (noise,
    with p = 1).

    Elsewhere: BoTorch's ExpectedImprovement, for maximization unless told otherwise.
    """
    gain, std = np.asarray(best - xi - mean), np.asarray(std)
    below, density, z = _normal(gain, std)
    value = np.where(std > 0, std * (z * below + density), np.maximum(gain, 0))
    share, slope = _learned(std, noise, power)
    return Promise(value * share, -below * share, density * share + value * slope)


def log_expected_improvement(
    mean: ArrayLike, std: ArrayLike, best: ArrayLike, xi: float = 0.0, noise: float = 0.0, power: float = 1.0
) -> Promise:
    """The logarithm of the expected improvement, also where that is far below the least float.

        log EI = log σ + log h(z),   h(z) = z·Φ(z) + φ(z),   z = (b − ξ − m)/σ
        log h(z) = −z²/2 − ½·log 2π + log(1 + z·Φ(z)/φ(z))   for z < −1
        1 + z·Φ(z)/φ(z) ≈ 1/z² − 3/z⁴ + 15/z⁶ − 105/z⁸       far below

    Most of a space promises an EI of 0 in floating point, with no slope to climb; its logarithm has one.

    Arguments:
        mean, std, best, xi, noise, power: as in `expected_improvement`; where σ is 0 it is
            log max(b − ξ − m, 0), and −∞ with noise.

    Example:
        >>> print(f"{log_expected_improvement(50.0, 1.0, 0.0).value:.1f}")
        -1258.7

    Source: Ament et al. 2023, equation 9.

    Elsewhere: BoTorch's LogExpectedImprovement.
    """
    from scipy.special import erfcx  # which jax needs, too; it is slow to import

    gain, std = np.asarray(best - xi - mean), np.asarray(std)
    below, density, z = _normal(gain, std)
    certain = std <= 0
    near = np.where(certain, 1.0, z * below + density)  # h itself
    left = np.where(z > -1, -1.0, z)
    ratio = math.sqrt(math.pi / 2) * erfcx(-left / math.sqrt(2))  # Φ/φ
    # Where 1 + z·Φ/φ cancels, its series; where they meet, the remainder 945/z⁸ equals eps·z².
    q = 1 / left**2
    far = left < -((945 / np.finfo(float).eps) ** 0.1)
    rest = np.where(far, q * (1 + q * (-3 + q * (15 - 105 * q))), 1 + left * ratio)
    right = z > -1
    share, share_slope = _learned(std, noise, power)
    with np.errstate(divide="ignore"):
        log_h = np.where(right, np.log(near), -(left**2) / 2 - math.log(2 * math.pi) / 2 + np.log(rest))
        sure = np.log(np.maximum(gain, 0))
        log_share = np.log(share)
    sigma = np.where(certain, 1.0, std)
    by_gain = np.where(right, below / np.where(right, near, 1), ratio / rest) / sigma
    by_std = np.where(right, density / np.where(right, near, 1), 1 / rest) / sigma
    improved = certain & (gain > 0)
    slope = np.where(improved, 1 / np.where(improved, gain, 1), np.where(certain, 0, by_gain))
    by_std = np.where(certain, 0, by_std) + share_slope / np.where(share > 0, share, 1)
    return Promise(np.where(certain, sure, np.log(sigma) + log_h) + log_share, -slope, by_std)


def probability_of_improvement(
    mean: ArrayLike, std: ArrayLike, best: ArrayLike, xi: float = 0.01, noise: float = 0.0, power: float = 1.0
) -> Promise:
    """The probability that f is below the best value so far by more than ξ.

        PI = P(f < b − ξ) = Φ(z),   z = (b − ξ − m)/σ

    Arguments:
        mean, std, best: as in `expected_improvement`; where σ is 0 it is 0 or 1.
        xi: ξ; at 0 the search clings to the best point.
        noise, power: unused, the signature is common to all.

    Example:
        >>> print(f"{probability_of_improvement(0.0, 1.0, 0.0, 0.0).value:.1f}")
        0.5

    Source: Kushner 1964.

    Elsewhere: BoTorch's ProbabilityOfImprovement, without ξ.
    """
    gain, std = np.asarray(best - xi - mean), np.asarray(std)
    below, density, z = _normal(gain, std)
    slope = np.where(std > 0, density / np.where(std > 0, std, 1), 0)
    return Promise(np.where(std > 0, below, gain > 0), -slope, -slope * z)


def upper_confidence_bound(
    mean: ArrayLike,
    std: ArrayLike,
    best: ArrayLike,
    beta: float = 2.0,
    noise: float = 0.0,
    power: float = 1.0,
) -> Promise:
    """Optimism: the upper confidence bound of what is maximized, that is of −f.

        UCB = −(m − β·σ)

    Arguments:
        mean, std: m and σ of f.
        best, noise, power: unused, the signature is common to all.
        beta: β ≥ 0, the standard deviations of optimism.

    Example:
        >>> print(upper_confidence_bound(3.0, 1.0, 0.0).value)
        -1.0

    Source: Cox & John 1992; Srinivas et al. 2010, where β² is called β.

    Elsewhere: BoTorch's UpperConfidenceBound takes β², and maximizes.
    """
    value = beta * np.asarray(std) - mean
    return Promise(value, np.full_like(value, -1.0), np.full_like(value, beta))


ACQUISITIONS = {
    "expected_improvement": expected_improvement,
    "log_expected_improvement": log_expected_improvement,
    "probability_of_improvement": probability_of_improvement,
    "upper_confidence_bound": upper_confidence_bound,
}


def _learned(std: np.ndarray, noise: float, power: float) -> tuple[np.ndarray, np.ndarray]:
    """(1 − √v/√(σ² + v))ᵖ, of the share of an improvement that an observation finds; and its slope."""
    spread = np.sqrt(std**2 + noise)
    safe, deviation = np.where(spread > 0, spread, 1), math.sqrt(noise)
    share = std**2 / (safe * (safe + deviation))
    slope = power * share ** (power - 1) * deviation * std / safe**3
    return np.where(spread > 0, share**power, 1), slope


def _normal(gain: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, ...]:
    """Φ(z), φ(z) and z = gain/σ; z is 0 where σ is 0."""
    from scipy.special import ndtr

    z = np.where(std > 0, gain / np.where(std > 0, std, 1), 0)
    return ndtr(z), np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi), z

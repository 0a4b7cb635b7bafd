"""Gaussian processes: a distribution over functions, conditioned on what was observed of one.

Everything is a function of a record of hyperparameters, `GaussianProcess`, whose numbers are leaves.
`condition` gives the posterior, `predict` its mean and standard deviation, `predict_slopes` their derivatives
too, `log_marginal_likelihood` says how well the hyperparameters explain the observations and `fit` climbs it.

All this is NumPy in double precision, on the host: a search has a few hundred observations, which are a few
milliseconds of work, where compiling a program for an accelerator that emulates double precision takes
minutes. A posterior keeps the inverse of the Cholesky factor, so that predictions are matrix products. A
value can be added to it in O(n²) as if it had been observed (`believe`), which is what keeps the points of
one batch apart.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.record import Number, check_choice, check_number, record, static

LENGTHSCALES, AMPLITUDES, NOISES = (5e-3, 50.0), (1e-3, 1e3), (1e-6, 1.0)  # the intervals of `fit`
LOG_2PI = math.log(2 * math.pi)


def rbf(r2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The squared exponential kernel of the squared distance, and its derivative: exp(−r²/2)."""
    k = np.exp(-r2 / 2)
    return k, -k / 2


def matern52(r2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Matérn kernel with ν = 5/2 of the squared distance: (1 + √5·r + 5r²/3)·exp(−√5·r)."""
    r = np.sqrt(5 * r2)
    fall = np.exp(-r)
    return (1 + r + r * r / 3) * fall, -5 / 6 * (1 + r) * fall


KERNELS = {"rbf": rbf, "matern52": matern52}


@record
class GaussianProcess:
    """See `gaussian_process`."""

    lengthscale: Any
    amplitude: Number
    noise: Number
    mean: Number
    kernel: str = static()

    def covariance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Between the values at points a [n, d] and b [m, d], without noise [n, m]."""
        return self.amplitude * KERNELS[self.kernel](self.distance(a, b))[0]

    def distance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """r² between all points a [n, d] and b [m, d], in length scales."""
        a, b = a / self.lengthscale, b / self.lengthscale
        r2 = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1)[None] - 2 * (a @ b.T)
        return np.maximum(r2, 0)


def gaussian_process(
    lengthscale: ArrayLike,
    amplitude: Number = 1.0,
    noise: Number = 1e-4,
    mean: Number = 0.0,
    kernel="matern52",
) -> GaussianProcess:
    """A Gaussian process with a length scale for each dimension (automatic relevance determination).

        f ~ GP(m, a·k(r)),   y = f(x) + N(0, σ²),   r² = Σⱼ (xⱼ − x′ⱼ)²/ℓⱼ²
        k(r) = exp(−r²/2)   or   (1 + √5·r + 5r²/3)·exp(−√5·r)

    Arguments:
        lengthscale: ℓ [d], > 0: how far along each axis the function changes; large for one that hardly
            matters.
        amplitude: a > 0, the variance of f.
        noise: σ² ≥ 0, the variance of an observation about f. A little is needed for points that coincide.
        mean: m.
        kernel: "rbf" or "matern52".

    Returns:
        A `GaussianProcess` record of NumPy numbers.

    Raises:
        ValueError: a number outside its interval, or an unknown kernel.

    Example:
        >>> gp = gaussian_process(np.ones(1), noise=0.0, kernel="rbf")
        >>> mean, std = predict(condition(gp, np.array([[0.0]]), np.array([2.0])), np.array([[0.0]]))
        >>> print(f"{mean[0]:.3f} {std[0]:.3f}")
        2.000 0.000

    Source: Rasmussen & Williams 2006, chapters 2, 4.2 and 5.

    Elsewhere: scikit-learn's GaussianProcessRegressor (ConstantKernel · Matern + alpha) is the same; its
    WhiteKernel adds the noise to the predicted variance too. GPyTorch, tinygp.
    """
    for name, value, interval in (
        ("lengthscale", lengthscale, "(0, inf)"), ("amplitude", amplitude, "(0, inf)"),
        ("noise", noise, "[0, inf)"), ("mean", mean, "(-inf, inf)"),
    ):  # fmt: skip
        check_number(f"gaussian_process({name})", value, interval)
    return GaussianProcess(
        np.asarray(lengthscale, np.float64), np.float64(amplitude), np.float64(noise), np.float64(mean),
        check_choice("gaussian_process(kernel)", kernel, tuple(KERNELS)),
    )  # fmt: skip


class Posterior(NamedTuple):
    """What is known of f after observations: L⁻¹ of the covariance LLᵀ, and the weights of the mean."""

    gp: GaussianProcess
    x: np.ndarray
    root: np.ndarray
    weights: np.ndarray


def condition(gp: GaussianProcess, x: np.ndarray, y: np.ndarray) -> Posterior:
    """The posterior after the observations y [n] at x [n, d].

    K = a·k(x, x) + σ²I = LLᵀ,   w = K⁻¹(y − m)
    """
    from scipy.linalg.lapack import dtrtri

    lower = np.linalg.cholesky(gp.covariance(x, x) + gp.noise * np.eye(len(x)))
    root = np.ascontiguousarray(dtrtri(lower, lower=1)[0])
    return Posterior(gp, x, root, root.T @ (root @ (y - gp.mean)))


def predict(posterior: Posterior, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation of f at points [m, d], without the noise of an observation.

    mean = m + k(p, x)·w,   variance = a − |L⁻¹·k(x, p)|²
    """
    at = forecast(posterior, points)
    return at.mean, np.sqrt(np.maximum(at.variance, 0))


def predict_slopes(posterior: Posterior, points: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and standard deviation [m], and the derivatives of both by the points [m, d]; 0 where σ is 0."""
    gp, x, root, weights = posterior
    k, k_slope = KERNELS[gp.kernel](gp.distance(points, x))
    cross, slope = gp.amplitude * k, 2 * gp.amplitude * k_slope
    white = cross @ root.T
    std = np.sqrt(np.maximum(gp.amplitude - np.sum(white**2, axis=1), 0))
    reduction = white @ root  # k(p, x)·K⁻¹

    def through(factor: np.ndarray) -> np.ndarray:
        """Σᵢ factorᵢ·dk(p, xᵢ)/dp."""
        weight = slope * factor
        return (np.sum(weight, axis=1)[:, None] * points - weight @ x) / gp.lengthscale**2

    safe = np.where(std > 0, std, np.inf)[:, None]
    return gp.mean + cross @ weights, std, through(weights[None]), -through(reduction) / safe


def believe(posterior: Posterior, point: np.ndarray, value: float) -> Posterior:
    """The posterior as if `value` had been observed at `point` [d] too, in O(n²): one more row of L⁻¹."""
    gp, x, root, weights = posterior
    n = len(x)
    cross = gp.covariance(point[None], x)[0]
    white = root @ cross
    variance = gp.amplitude + gp.noise
    pivot = np.sqrt(max(variance - white @ white, np.finfo(float).eps * variance))
    line = np.append(-(root.T @ white), 1.0) / pivot
    surprise = (value - gp.mean - cross @ weights) / pivot
    grown = np.zeros((n + 1, n + 1))
    grown[:n, :n], grown[n] = root, line
    return Posterior(gp, np.vstack([x, point]), grown, np.append(weights, 0) + surprise * line)


class Forecast(NamedTuple):
    """What is said of f at points [m, D]: covariances with what was observed [m, n], mean and variance."""

    points: np.ndarray
    cross: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def forecast(posterior: Posterior, points: np.ndarray) -> Forecast:
    """What `predict` says, in a form that `follow` keeps up to date."""
    gp, x, root, weights = posterior
    cross = gp.covariance(points, x)
    variance = gp.amplitude - np.sum((cross @ root.T) ** 2, axis=1)
    return Forecast(points, cross, gp.mean + cross @ weights, variance)


def follow(posterior: Posterior, before: Forecast) -> Forecast:
    """The forecast after one more value was believed, in O(m·n)."""
    gp, x, root, weights = posterior
    cross = np.append(before.cross, gp.covariance(before.points, x[-1:]), axis=1)
    variance = before.variance - (cross @ root[-1]) ** 2
    return Forecast(before.points, cross, gp.mean + cross @ weights, variance)


def log_marginal_likelihood(gp: GaussianProcess, x: np.ndarray, y: np.ndarray) -> float:
    """The logarithm of the density of the observations under the hyperparameters alone.

    log p(y) = −½·(y − m)ᵀK⁻¹(y − m) − ½·log|K| − ½·n·log 2π
    """
    root = condition(gp, x, y).root
    white = root @ (y - gp.mean)
    return float(np.sum(np.log(np.diag(root))) - (white @ white + len(y) * LOG_2PI) / 2)


class LogNormal(NamedTuple):
    """A normal prior of the logarithm of a hyperparameter; without a width there is none."""

    center: float = 0.0
    width: float = math.inf


class Prior(NamedTuple):
    """What is thought of the hyperparameters before any observation."""

    lengthscale: LogNormal = LogNormal()
    amplitude: LogNormal = LogNormal()
    noise: LogNormal = LogNormal()


def fit(
    gp: GaussianProcess,
    x: np.ndarray,
    y: np.ndarray,
    *,
    groups: tuple[int, ...] | None = None,
    prior: Prior = Prior(),
    evaluations: int = 60,
) -> tuple[GaussianProcess, float]:
    """Hyperparameters that observations and a prior make likely, by L-BFGS-B from those of `gp`.

        max over (ℓ, a, σ²) of  log p(y) − ½·Σ ((log θ − μ)/s)²,   m = 1ᵀK⁻¹y / 1ᵀK⁻¹1

    Each stays in an interval made for x in the unit cube and y of variance 1: ℓ in [0.005, 50], a in
    [0.001, 1000], σ² in [1e-6, 1].

    Arguments:
        gp: the start; its `kernel` stays.
        x, y: as in `condition`.
        groups: for each column of x the number of its group 0, 1, …: columns of one group share a length
            scale. By default each has its own.
        prior: normal priors of the logarithms; without any it is maximum likelihood.
        evaluations: of the likelihood, about.

    Returns:
        The process, and the logarithm of its likelihood with the prior's.
    """
    from scipy.linalg.lapack import dpotri  # which jax needs, too; it is slow to import
    from scipy.optimize import minimize

    n = len(y)
    groups = tuple(range(x.shape[1])) if groups is None else groups
    count = len(set(groups))
    columns = [np.flatnonzero(np.asarray(groups) == group) for group in range(count)]
    squares = np.empty((count, n * n))  # squared distances, summed within groups
    for group, members in enumerate(columns):
        part = x[:, members]
        squares[group] = np.sum((part[:, None] - part[None]) ** 2, axis=2).reshape(-1)
    low, high = np.log([LENGTHSCALES] * count + [AMPLITUDES, NOISES]).T
    center, width = np.array([prior.lengthscale] * count + [prior.amplitude, prior.noise]).T
    kernel, eye = KERNELS[gp.kernel], np.eye(n)

    def factor(t: np.ndarray) -> tuple:
        inverse2, amplitude = np.exp(-2 * t[:count]), np.exp(t[-2])
        k, slope = kernel((inverse2 @ squares).reshape(n, n))
        lower = np.linalg.cholesky(amplitude * k + np.exp(t[-1]) * eye)
        half = np.tril(dpotri(lower, lower=1)[0])
        precision = half + np.tril(half, -1).T
        sums = np.sum(precision, axis=1)
        return inverse2, amplitude, k, slope, np.diag(lower), precision, (sums @ y) / np.sum(sums)

    def loss(t: np.ndarray) -> tuple[float, np.ndarray]:
        inverse2, amplitude, k, slope, pivots, precision, mean = factor(t)
        weights = precision @ (y - mean)
        change = (precision - np.outer(weights, weights)) / 2  # of the loss by K; m is at its optimum
        by_distance = squares @ (change * slope).reshape(-1)
        by_amplitude, by_noise = np.sum(change * k) * amplitude, np.trace(change) * np.exp(t[-1])
        gradient = np.append(-2 * amplitude * inverse2 * by_distance, [by_amplitude, by_noise])
        z = (t - center) / width
        value = (weights @ (y - mean) + n * LOG_2PI + z @ z) / 2 + np.sum(np.log(pivots))
        return value, gradient + z / width

    own = np.asarray(gp.lengthscale, np.float64)[[columns[group][0] for group in range(count)]]
    start = np.clip(np.log(np.append(own, [gp.amplitude, gp.noise])), low, high)
    options = {"maxfun": evaluations, "maxiter": evaluations}
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=np.stack([low, high], 1), options=options
    )
    t, mean = found.x, factor(found.x)[-1]
    lengthscale = np.exp(t[:count])[np.asarray(groups, int)]
    fitted = GaussianProcess(lengthscale, np.exp(t[-2]), np.exp(t[-1]), np.asarray(mean), gp.kernel)
    return fitted, -float(found.fun)

"""Gaussian processes: a distribution over functions, conditioned on what was observed of one.

Everything is a function of a record of hyperparameters, `GaussianProcess`, whose numbers are leaves.
`condition` gives the posterior, `predict` its mean and standard deviation, `log_marginal_likelihood` says
how well the hyperparameters explain the observations and `fit` climbs it. Observations may lie in a
buffer with room to spare: rows outside `seen` are as if they were not there, and a search that grows
compiles once for many observations.

A posterior keeps the inverse of the Cholesky factor, so that predictions are matrix products. A value
can be added to it in O(n²) as if it had been observed (`believe`), which is what keeps the points of one
batch apart.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.search.surrogates.quasi_newton import minimize

LENGTHSCALES, AMPLITUDES = (5e-3, 50.0), (1e-3, 1e3)  # the intervals of `fit`
LOG_2PI = math.log(2 * math.pi)


def rbf(r2: jax.Array) -> jax.Array:
    """The squared exponential kernel of the squared distance: exp(−r²/2)."""
    return jnp.exp(-r2 / 2)


def matern52(r2: jax.Array) -> jax.Array:
    """The Matérn kernel with ν = 5/2 of the squared distance: (1 + √5·r + 5r²/3)·exp(−√5·r)."""
    r = safe_sqrt(5 * r2)
    return (1 + r + r * r / 3) * jnp.exp(-r)


KERNELS = {"rbf": rbf, "matern52": matern52}


@record
class GaussianProcess:
    """See `gaussian_process`."""

    lengthscale: Any
    amplitude: Number
    noise: Number
    mean: Number
    kernel: str = static()

    def covariance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Between the values at points a [n, d] and b [m, d], without noise [n, m]."""
        scale = jnp.asarray(self.lengthscale, a.dtype)[None, None, :]
        r2 = jnp.sum(((a[:, None, :] - b[None, :, :]) / scale) ** 2, axis=-1)
        return jnp.asarray(self.amplitude, a.dtype) * KERNELS[self.kernel](r2)


def gaussian_process(
    lengthscale: Any, amplitude: Number = 1.0, noise: Number = 1e-4, mean: Number = 0.0, kernel="matern52"
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
        A `GaussianProcess` record.

    Raises:
        ValueError: a number outside its interval, or an unknown kernel.

    Example:
        >>> gp = gaussian_process(jnp.ones(1), noise=0.0, kernel="rbf")
        >>> mean, std = predict(condition(gp, jnp.array([[0.0]]), jnp.array([2.0])), jnp.array([[0.0]]))
        >>> print(f"{mean[0]:.3f} {std[0]:.3f}")
        2.000 0.000

    Source: Rasmussen & Williams 2006, chapters 2, 4.2 and 5.

    Elsewhere: scikit-learn's GaussianProcessRegressor (ConstantKernel · Matern + alpha) is the same on the
    host; its WhiteKernel adds the noise to the predicted variance too. GPyTorch, tinygp.
    """
    return GaussianProcess(
        check_number("gaussian_process(lengthscale)", lengthscale, "(0, inf)"),
        check_number("gaussian_process(amplitude)", amplitude, "(0, inf)"),
        check_number("gaussian_process(noise)", noise, "[0, inf)"),
        check_number("gaussian_process(mean)", mean),
        check_choice("gaussian_process(kernel)", kernel, tuple(KERNELS)),
    )


@record
class Posterior:
    """What is known of f after observations: L⁻¹ of the covariance LLᵀ, and the weights of the mean."""

    gp: GaussianProcess
    x: jax.Array
    root: jax.Array
    weights: jax.Array
    known: jax.Array


def condition(gp: GaussianProcess, x: jax.Array, y: jax.Array, seen: Any = None) -> Posterior:
    """The posterior after the observations y [n] at x [n, d].

        K = a·k(x, x) + σ²I = LLᵀ,   w = K⁻¹(y − m)

    Arguments:
        gp: the hyperparameters.
        x, y: points and observations.
        seen: which rows are observations [n]; by default all.
    """
    seen = jnp.ones(len(y), bool) if seen is None else seen
    root = _inverse_factor(_covariance(gp, x, seen))
    return Posterior(gp, x, root, _dot(root.T, _dot(root, _residual(gp, y, seen))), seen)


def predict(posterior: Posterior, points: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mean and the standard deviation of f at points [m, d], without the noise of an observation.

    mean = m + k(p, x)·w,   variance = a − |L⁻¹·k(x, p)|²
    """
    cross = jnp.where(posterior.known[None, :], posterior.gp.covariance(points, posterior.x), 0)
    mean = jnp.asarray(posterior.gp.mean, points.dtype) + _dot(cross, posterior.weights)
    reduction = jnp.sum(_dot(cross, posterior.root.T) ** 2, axis=1)
    return mean, safe_sqrt(jnp.maximum(jnp.asarray(posterior.gp.amplitude, points.dtype) - reduction, 0))


def believe(posterior: Posterior, row: Any, point: jax.Array, value: jax.Array) -> Posterior:
    """The posterior as if `value` had been observed at `point` [d] too, in O(n²): one more row of L⁻¹.

    It is kept in the free row `row`, behind all that are known.
    """
    gp, x, known = posterior.gp, posterior.x.at[row].set(point), posterior.known
    cross = jnp.where(known, gp.covariance(point[None], posterior.x)[0], 0)
    white = jnp.where(known, _dot(posterior.root, cross), 0)
    variance = jnp.asarray(gp.amplitude + gp.noise, x.dtype)
    pivot = jnp.sqrt(jnp.maximum(variance - jnp.sum(white**2), jnp.finfo(x.dtype).eps * variance))
    line = (-_dot(posterior.root.T, white) / pivot).at[row].set(1 / pivot)
    surprise = (value - gp.mean - jnp.sum(cross * posterior.weights)) / pivot
    weights = posterior.weights + surprise * line
    return Posterior(gp, x, posterior.root.at[row].set(line), weights, known.at[row].set(True))


def log_marginal_likelihood(gp: GaussianProcess, x: jax.Array, y: jax.Array, seen: Any = None) -> jax.Array:
    """The logarithm of the density of the observations under the hyperparameters alone.

    log p(y) = −½·(y − m)ᵀK⁻¹(y − m) − ½·log|K| − ½·n·log 2π
    """
    seen = jnp.ones(len(y), bool) if seen is None else seen
    spare = jnp.sum(~seen, dtype=x.dtype)  # a row that is not seen is one of the identity, with residual 0
    return _log_density(_covariance(gp, x, seen), _residual(gp, y, seen)) + spare * LOG_2PI / 2


def fit(
    gp: GaussianProcess,
    x: jax.Array,
    y: jax.Array,
    seen: Any = None,
    *,
    groups: tuple[int, ...] | None = None,
    prior: tuple[Number, Number] = (0.0, math.inf),
    evaluations: int = 60,
) -> GaussianProcess:
    """Hyperparameters of maximal marginal likelihood, by BFGS from those of `gp`.

        max over (ℓ, a, σ², m) of  log p(y) − ½·Σⱼ ((log ℓⱼ − μ)/s)²

    Each stays in an interval made for x in the unit cube and y of variance 1: ℓ in [0.005, 50], a in
    [0.001, 1000], σ² in [1e-6, 1] (in float32 [1e-4, 1]).

    Arguments:
        gp: the start; its `kernel` stays.
        x, y, seen: as in `condition`.
        groups: for each column of x the number of its group 0, 1, …: columns of one group share a length
            scale. By default each has its own.
        prior: μ and s, a normal prior of log ℓ; s = ∞ is maximum likelihood alone.
        evaluations: of the likelihood, at most.
    """
    kind = x.dtype
    groups = tuple(range(x.shape[1])) if groups is None else groups
    first = [groups.index(group) for group in range(len(set(groups)))]
    noises = (1e-6 if jnp.finfo(kind).bits == 64 else 1e-4, 1.0)  # in float32 less is lost in rounding
    intervals = [LENGTHSCALES] * len(first) + [AMPLITUDES, noises]
    low, high = jnp.log(jnp.asarray(intervals, kind)).T

    def process(t: jax.Array) -> GaussianProcess:
        values = jnp.exp(low + (high - low) * jax.nn.sigmoid(t[:-1]))
        lengthscale = values[: len(first)][jnp.asarray(groups, int)]
        return GaussianProcess(lengthscale, values[-2], values[-1], t[-1], gp.kernel)

    def loss(t: jax.Array) -> jax.Array:
        candidate = process(t)
        center, width = (jnp.asarray(number, kind) for number in prior)
        deviation = (jnp.log(candidate.lengthscale[jnp.asarray(first, int)]) - center) / width
        return jnp.sum(deviation**2) / 2 - log_marginal_likelihood(candidate, x, y, seen)

    lengthscale = jnp.asarray(gp.lengthscale, kind)[jnp.asarray(first, int)]
    variances = jnp.stack([jnp.asarray(number, kind) for number in (gp.amplitude, gp.noise)])
    place = (jnp.log(jnp.concatenate([lengthscale, variances])) - low) / (high - low)
    place = jnp.clip(place, 0.02, 0.98)  # at an end the slope of the sigmoid is 0
    start = jnp.append(jnp.log(place) - jnp.log1p(-place), jnp.asarray(gp.mean, kind))
    return process(minimize(loss, start, evaluations))


def _covariance(gp: GaussianProcess, x: jax.Array, known: jax.Array) -> jax.Array:
    """Of the observations in the known rows; a row that is not known is a row of the identity."""
    both = known[:, None] & known[None, :]
    eye = jnp.eye(len(x), dtype=x.dtype)
    return jnp.where(both, gp.covariance(x, x) + jnp.asarray(gp.noise, x.dtype) * eye, eye)


def _inverse_factor(k: jax.Array) -> jax.Array:
    """L⁻¹ of LLᵀ."""
    return solve_triangular(jnp.linalg.cholesky(k), jnp.eye(len(k), dtype=k.dtype), lower=True)


def _log_density_and_root(k: jax.Array, residual: jax.Array) -> tuple:
    root = _inverse_factor(k)
    white = _dot(root, residual)
    return jnp.sum(jnp.log(jnp.diag(root))) - (jnp.sum(white**2) + len(white) * LOG_2PI) / 2, root, white


# log N(residual; 0, K). Its slope needs K⁻¹ alone: a fraction of a derivative of the factorization.
_log_density = jax.custom_jvp(lambda k, residual: _log_density_and_root(k, residual)[0])


@_log_density.defjvp
def _log_density_jvp(primals: tuple, tangents: tuple) -> tuple:
    value, root, white = _log_density_and_root(*primals)
    weights = _dot(root.T, white)
    slope = (weights[:, None] * weights[None, :] - _dot(root.T, root)) / 2
    return value, jnp.sum(slope * tangents[0]) - jnp.sum(weights * tangents[1])


def _residual(gp: GaussianProcess, y: jax.Array, seen: jax.Array) -> jax.Array:
    return jnp.where(seen, y - jnp.asarray(gp.mean, y.dtype), 0)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")

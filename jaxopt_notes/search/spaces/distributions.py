"""Distributions of one hyperparameter, each the image of [0, 1] under its quantile function.

A distribution is a record with four faces. `sample` draws a batch at random; `from_unit` maps points of
[0, 1], wherever they come from (a low-discrepancy sequence, a surrogate model), and `to_unit` maps values
back to them; `grid` lists evenly spread values. So every search strategy works on the unit cube and no
strategy knows a distribution.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, concrete, record


class Distribution:
    """What all distributions share: random points are quantiles of uniform ones."""

    def from_unit(self, u: jax.Array) -> jax.Array:
        """The quantile function: points `u` in [0, 1], of any shape, to values of that shape."""
        raise NotImplementedError

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        """The points of [0, 1] that `from_unit` maps to values `x`; NaN for what is none of its values."""
        raise NotImplementedError

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """`n` independent draws [n]; the first ones stay the same as `n` grows."""
        return self.from_unit(jax.random.uniform(key, (n,), jnp.result_type(float)))

    def __call__(self, *args: Any, **kwargs: Any) -> jax.Array:
        """Refused: initializers are called, and some share their names with distributions."""
        raise TypeError(
            f"{self!r} is a distribution to search over, and was called as an initializer is: take "
            "jn.initializers.normal(0.01), or another of them; draws of a distribution are sample(key, n)."
        )

    def grid(self, points: int) -> jax.Array:
        """`points` values at even quantiles, both ends included (the median if `points` is 1)."""
        return self.from_unit(as_hyperparameter(np.linspace(0, 1, points) if points > 1 else [0.5]))


@record
class Uniform(Distribution):
    """See `uniform`."""

    low: Number
    high: Number

    def from_unit(self, u: jax.Array) -> jax.Array:
        low, high = as_hyperparameter(self.low), as_hyperparameter(self.high)
        return (1 - u) * low + u * high

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        return _between(x, float(self.low), float(self.high))


def uniform(low: Number, high: Number) -> Uniform:
    """Uniform on [low, high].

        x = (1 − u)·low + u·high

    Arguments:
        low, high: the ends, finite, low ≤ high.

    Returns:
        A `Uniform` record; draws are float32.

    Raises:
        ValueError: low > high, or an end that is not finite.

    Example:
        >>> uniform(0.0, 0.5).grid(3)
        Array([0.  , 0.25, 0.5 ], dtype=float32)

    Source: Bergstra & Bengio 2012; Goodfellow, Bengio & Courville 2016, section 11.4.4.

    Elsewhere: the same in optuna (suggest_float) and Ray Tune; scipy.stats.uniform takes low and width.
    """
    return Uniform(*_check_ends("uniform", low, high))


@record
class LogUniform(Distribution):
    """See `log_uniform`."""

    low: Number
    high: Number

    def from_unit(self, u: jax.Array) -> jax.Array:
        low, high = as_hyperparameter(self.low), as_hyperparameter(self.high)
        return jnp.clip(jnp.exp((1 - u) * jnp.log(low) + u * jnp.log(high)), low, high)

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        logarithm = np.log(np.where(np.asarray(x, float) > 0, x, np.nan))
        return _between(logarithm, *np.log([float(self.low), float(self.high)]))


def log_uniform(low: Number, high: Number) -> LogUniform:
    """Uniform in the logarithm, for rates and strengths whose order of magnitude is unknown.

        x = 10^((1 − u)·log₁₀ low + u·log₁₀ high)

    Arguments:
        low, high: the ends, 0 < low ≤ high < ∞: log_uniform(1e-6, 1e-3) is 10^U(−6, −3).

    Returns:
        A `LogUniform` record; draws are float32.

    Raises:
        ValueError: low ≤ 0, low > high, or an end that is not finite.

    Example:
        >>> [f"{x:g}" for x in log_uniform(1e-4, 1.0).grid(5)]
        ['0.0001', '0.001', '0.01', '0.1', '1']

    Source: Bergstra & Bengio 2012; Goodfellow, Bengio & Courville 2016, section 11.4.4.

    Elsewhere: optuna's suggest_float(log=True), scipy.stats.loguniform; Ray Tune's loguniform.
    """
    remedy = "a logarithm needs positive numbers, use uniform(...) for a range with 0"
    check_number("log_uniform(low)", low, "(0, inf)", remedy)
    check_number("log_uniform(high)", high, "(0, inf)", remedy)
    return LogUniform(*_check_ends("log_uniform", low, high))


@record
class Normal(Distribution):
    """See `normal`."""

    mean: Number
    stddev: Number

    def from_unit(self, u: jax.Array) -> jax.Array:
        eps = jnp.finfo(u.dtype).epsneg  # the ends are infinite: stop at the last number below 1
        z = ndtri(jnp.clip(u, eps, 1 - eps))
        return as_hyperparameter(self.mean) + as_hyperparameter(self.stddev) * z

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        z = (np.asarray(x, float) - float(self.mean)) / (float(self.stddev) or 1.0)
        return np.vectorize(lambda z: math.erfc(-z / math.sqrt(2)) / 2, otypes=[float])(z)

    def grid(self, points: int) -> jax.Array:
        """The medians of `points` equally probable parts."""
        return self.from_unit(as_hyperparameter((np.arange(points) + 0.5) / points))


def normal(mean: Number, stddev: Number | None = None) -> Normal:
    """Normal, with mean and standard deviation.

        x = mean + stddev·Φ⁻¹(u)

    Arguments:
        mean: finite.
        stddev: ≥ 0, finite, required.

    Returns:
        A `Normal` record; draws are float32, and lie within 5.3 standard deviations.

    Raises:
        ValueError: a number outside its interval. TypeError: `stddev` is missing, as in the call of the
            initializer of the same name, `jaxopt_notes.initializers.normal(stddev)`.

    Example:
        >>> normal(1.0, 2.0).grid(1)
        Array([1.], dtype=float32)

    Source: Bergstra & Bengio 2012; Goodfellow, Bengio & Courville 2016, section 11.4.4.

    Elsewhere: Ray Tune's randn; optuna has none.
    """
    if stddev is None:
        raise TypeError(
            f"normal({mean!r}) has no stddev, expected normal(mean, stddev), a distribution to search over: "
            f"for an initializer use jn.initializers.normal({mean!r})."
        )
    return Normal(
        check_number("normal(mean)", mean),
        check_number("normal(stddev)", stddev, "[0, inf)"),
    )


@record
class Integers(Distribution):
    """See `integers`."""

    low: Number
    high: Number

    def from_unit(self, u: jax.Array) -> jax.Array:
        low, high = jnp.asarray(self.low, int), jnp.asarray(self.high, int)
        steps = jnp.floor(u * (high - low).astype(u.dtype)).astype(low.dtype)
        return low + jnp.minimum(steps, high - low - 1)

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        low, high, x = int(self.low), int(self.high), np.asarray(x, float)
        return np.where((x == np.round(x)) & (low <= x) & (x < high), (x - low + 0.5) / (high - low), np.nan)

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """`n` independent draws [n], exact also for ranges that a float does not resolve."""
        return jax.random.randint(key, (n,), self.low, self.high, jnp.result_type(int))

    def grid(self, points: int) -> jax.Array:
        """`points` distinct values spread evenly, both ends included; all if there are fewer."""
        return super().grid(min(points, int(self.high) - int(self.low)))


def integers(low: Number, high: Number) -> Integers:
    """Whole numbers low, …, high − 1, equally probable: `high` is left out, as in NumPy.

        x = low + ⌊u·(high − low)⌋

    Arguments:
        low, high: whole numbers, low < high.

    Returns:
        An `Integers` record; draws are int32 and are data, not structure (for a width or a batch
        size use `static_choice`).

    Raises:
        TypeError: an end that is not a whole number. ValueError: low ≥ high.

    Example:
        >>> integers(2, 5).grid(10)
        Array([2, 3, 4], dtype=int32)

    Source: Bergstra & Bengio 2012; Goodfellow, Bengio & Courville 2016, section 11.4.4.

    Elsewhere: numpy, JAX and Ray Tune leave `high` out too; optuna's suggest_int includes it.
    """
    for name, end in (("low", low), ("high", high)):
        array = concrete(end)
        if array is not None and array.dtype.kind not in "iu":
            raise TypeError(
                f"integers({name}) is {end!r}, expected a whole number: use uniform(...) for others."
            )
        check_number(f"integers({name})", end)
    if (ends := _known(low, high)) and ends[0] >= ends[1]:
        raise ValueError(
            f"integers(low, high) is ({low}, {high}), expected low < high: high is left out, "
            f"so integers({low}, {low} + 1) holds {low} alone."
        )
    return Integers(low, high)


def _between(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where x lies from low to high, as a number in [0, 1]; NaN if it does not, but for rounding."""
    if low == high:
        return np.where(np.isclose(x, low, rtol=1e-6, atol=0), 0.5, np.nan)
    u = (np.asarray(x, float) - low) / (high - low)
    return np.where((u >= -1e-6) & (u <= 1 + 1e-6), np.clip(u, 0, 1), np.nan)


def _known(*ends: Any) -> tuple | None:
    arrays = [array for array in map(concrete, ends) if array is not None]
    return tuple(map(float, arrays)) if len(arrays) == len(ends) else None


def _check_ends(name: str, low: Number, high: Number) -> tuple[Number, Number]:
    low, high = check_number(f"{name}(low)", low), check_number(f"{name}(high)", high)
    if (ends := _known(low, high)) and ends[0] > ends[1]:
        raise ValueError(f"{name}(low, high) is ({low}, {high}), expected low <= high: swap them.")
    return low, high

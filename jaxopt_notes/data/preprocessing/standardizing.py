"""Standardization: subtract the mean, divide by the standard deviation, column by column.

The statistics are those of the training set and of nothing else: `fit_standardizer` sees the
training set, and the record that it returns is applied to every other set. Standardizing moves and
scales a distribution; it does not make it normal. Of images often the mean alone is subtracted.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.data.preprocessing.weighting import (
    extremes,
    in_dtype_of,
    quantiles,
    training_set,
    weighted_average,
    weighted_deviation,
)
from jaxopt_notes.record import check_choice, record


@record
class Standardizer:
    """See `fit_standardizer`. The centre and the scale of each column."""

    mean: jax.Array
    scale: jax.Array

    def apply(self, x: Any) -> jax.Array:
        """(x − mean) / scale, for x [B, …] of any set."""
        return _standardized(_array(x), *self._beside(x))

    def inverse(self, z: ArrayLike) -> jax.Array:
        """z·scale + mean: undoes `apply`."""
        return _restored(_array(z), *self._beside(z))

    def _beside(self, x: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """The statistics with leading axes of 1, so that they are those of the last axes of x."""
        shape, own = jnp.shape(x), self.mean.shape
        if len(shape) <= len(own) or shape[len(shape) - len(own) :] != own:
            raise ValueError(
                f"Standardizer was given shape {shape}, expected a batch of samples of shape {own}: "
                f"for a single sample pass x[None]."
            )
        wide = (1,) * (len(shape) - len(own)) + own
        return self.mean.reshape(wide), self.scale.reshape(wide)


def _array(x: ArrayLike) -> Any:
    return x if hasattr(x, "dtype") else np.asarray(x)


@jax.jit  # one program, where every operation by itself would be one
def _standardized(x: jax.Array, mean: jax.Array, scale: jax.Array) -> jax.Array:
    return in_dtype_of(x, lambda x, mean, scale: (x - mean) / scale, mean, scale)


@jax.jit
def _restored(z: jax.Array, mean: jax.Array, scale: jax.Array) -> jax.Array:
    return in_dtype_of(z, lambda z, mean, scale: z * scale + mean, mean, scale)


def fit_standardizer(
    x: ArrayLike, *, robust: bool = False, per: str = "feature", weights: ArrayLike | None = None
) -> Standardizer:
    """The statistics of the training set, to apply to every set.

        z = (x − μ)/σ,   μ, σ: mean and standard deviation of each column of the training set

    Arguments:
        x: the *training* inputs, [n, …]; every entry behind the leading axis is a column.
        robust: take the median for μ and the interquartile range for σ, which outliers do not move;
            structure, not a number.
        per: "feature" for a mean and a deviation of every column, "channel" for those of every entry of the
            last axis, over all samples and pixels.
        weights: [n], what each sample counts, ≥ 0; `None` for all alike. Quantiles and the constancy of a
            column are those of samples of a positive weight. A sample of weight 2 stands there twice; weights
            below 1 on average, as shares that add up to 1, count by their proportions.

    Returns:
        A `Standardizer(mean, scale)` with `apply` and `inverse`; its arrays have the shape of one
        sample (or of its last axis), and at least float32. A column whose σ is 0 has the scale 1, and a
        constant column becomes exactly 0.

    Raises:
        ValueError: no sample, an unknown `per`, weights of another shape.

    Example:
        >>> train = jnp.array([[0.0, 5.0], [2.0, 5.0]])
        >>> fit_standardizer(train).apply(train)
        Array([[-1.,  0.],
               [ 1.,  0.]], dtype=float32)

    Source: LeCun et al. 1998, section 4.3. The study notes have the same preprocessing for training and
    test sets, which must not mean statistics of both together.

    Elsewhere: scikit-learn's `StandardScaler` and `RobustScaler`.
    """
    check_choice("fit_standardizer(robust)", robust, (False, True))
    check_choice("fit_standardizer(per)", per, ("feature", "channel"))
    return _fitted(_array(x), weights, bool(robust), per)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _fitted(x: jax.Array, weights: ArrayLike, robust: bool, per: str) -> Standardizer:
    x, weights = _columns("fit_standardizer", x, weights, per)
    low_end, high_end = extremes(x, weights)
    if robust:
        low, centre, high = quantiles(x, weights, [0.25, 0.5, 0.75])
        scale = high - low
    else:
        centre = weighted_average(x, weights)
        scale = weighted_deviation(x - centre[None], weights)
    # The rounded mean of equal numbers may differ from them, and a quotient of rounding errors is noise.
    constant = low_end == high_end
    centre = jnp.where(constant, low_end, centre)
    return Standardizer(centre, jnp.where(constant | (scale == 0), 1, scale))


def fit_mean_image(x: ArrayLike, *, weights: ArrayLike | None = None) -> Standardizer:
    """The mean of the training set, pixel by pixel, to be subtracted from every set.

        z = x − μ,   μ [H, W, C]

    Arguments:
        x: the *training* images, [n, H, W, C], or other inputs [n, …].
        weights: [n], see `fit_standardizer`.

    Returns:
        A `Standardizer` of scale 1.

    Raises:
        ValueError: no sample, weights of another shape.

    Example:
        >>> fit_mean_image(jnp.ones((5, 4, 4, 3))).mean.shape
        (4, 4, 3)

    Source: Krizhevsky, Sutskever & Hinton 2012, section 2 (AlexNet).
    """
    x, weights = _columns("fit_mean_image", x, weights, "feature")
    mean = weighted_average(x, weights)
    return Standardizer(mean, jnp.ones_like(mean))


def fit_channel_mean(x: ArrayLike, *, weights: ArrayLike | None = None) -> Standardizer:
    """The mean color of the training set, to be subtracted from every pixel of every set.

        z = x − μ,   μ [C]

    Arguments:
        x: the *training* images, [n, H, W, C], or other inputs whose last axis are the channels.
        weights: [n], see `fit_standardizer`.

    Returns:
        A `Standardizer` of scale 1. It takes images of any size.

    Raises:
        ValueError: no sample, weights of another shape.

    Example:
        >>> fit_channel_mean(jnp.ones((5, 4, 4, 3))).mean.shape
        (3,)

    Source: Simonyan & Zisserman 2015, section 2.1 (VGG).
    """
    x, weights = _columns("fit_channel_mean", x, weights, "channel")
    mean = weighted_average(x, weights)
    return Standardizer(mean, jnp.ones_like(mean))


def _columns(where: str, x: Any, weights: Any, per: str) -> tuple[jax.Array, jax.Array]:
    """The training set with what is taken together on the leading axis, and weights."""
    check_choice(f"{where}(per)", per, ("feature", "channel"))
    x, weights = training_set(where, x, weights)
    if per == "channel" and x.ndim > 2:
        pixels = x.size // x.shape[-1] // len(x)
        x, weights = x.reshape(-1, x.shape[-1]), jnp.repeat(weights, pixels)
    return x, weights

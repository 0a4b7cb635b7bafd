"""Standardization: subtract the mean, divide by the standard deviation, column by column.

The statistics are those of the training set and of nothing else: `fit_standardizer` sees the
training set, and the record that it returns is applied to every other set. Standardizing moves and
scales a distribution; it does not make it normal.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import compute_dtype, is_float
from jaxopt_notes.record import check_choice, record


@record
class Standardizer:
    """See `fit_standardizer`. The centre and the scale of each column."""

    mean: jax.Array
    scale: jax.Array

    def apply(self, x: Any) -> jax.Array:
        """(x − mean) / scale, for x [B, …] of any set."""
        return _in_dtype_of(x, lambda x, mean, scale: (x - mean) / scale, self)

    def inverse(self, z: Any) -> jax.Array:
        """z·scale + mean: undoes `apply`."""
        return _in_dtype_of(z, lambda z, mean, scale: z * scale + mean, self)


def _in_dtype_of(x: Any, formula: Any, standardizer: Standardizer) -> jax.Array:
    x, mean, scale = jnp.asarray(x), standardizer.mean, standardizer.scale
    if x.shape[1:] != mean.shape:
        raise ValueError(
            f"Standardizer was given shape {x.shape}, expected a batch of samples of shape {mean.shape}: "
            f"for a single sample pass x[None]."
        )
    kind = compute_dtype(x, mean)
    y = formula(x.astype(kind), mean[None].astype(kind), scale[None].astype(kind))
    return y.astype(x.dtype) if is_float(x) else y


def fit_standardizer(x: Any, *, robust: bool = False) -> Standardizer:
    """The statistics of the training set, to apply to every set.

        z = (x − μ)/σ,   μ, σ: mean and standard deviation of each column of the training set

    Arguments:
        x: the *training* inputs, [n, …]; every entry behind the leading axis is a column.
        robust: take the median for μ and the interquartile range for σ, which outliers do not move;
            structure, not a number.

    Returns:
        A `Standardizer(mean, scale)` with `apply` and `inverse`; its arrays have the shape of one
        sample, and at least float32. A column whose σ is 0 has the scale 1, and a constant column
        becomes exactly 0.

    Raises:
        ValueError: no sample.

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
    x = jnp.asarray(x)
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(
            f"fit_standardizer(x) has shape {x.shape}, expected [n, …] with n ≥ 1: pass the training set."
        )
    x = x.astype(compute_dtype(x))
    if robust:
        low, centre, high = jnp.quantile(x, jnp.array([0.25, 0.5, 0.75], x.dtype), axis=0)
        scale = high - low
    else:
        centre, scale = jnp.mean(x, axis=0), jnp.std(x, axis=0)
    # The rounded mean of equal numbers may differ from them, and a quotient of rounding errors is noise.
    constant = jnp.max(x, axis=0) == jnp.min(x, axis=0)
    centre = jnp.where(constant, x[0], centre)
    return Standardizer(centre, jnp.where(constant | (scale == 0), 1, scale))

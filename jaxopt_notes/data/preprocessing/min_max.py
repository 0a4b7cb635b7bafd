"""Min-max scaling: the training set's smallest and largest numbers become the ends of an interval.

It is for numbers that have an interval by nature. One outlier squeezes all others together, and what lies
beyond the training set lies outside the interval.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data.preprocessing.weighting import extremes, flat, in_dtype_of, training_set
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record


@record
class MinMax:
    """See `fit_min_max`. The smallest number of each column, and its range."""

    minimum: jax.Array
    range: jax.Array
    low: Number
    high: Number

    def apply(self, x: Any) -> jax.Array:
        """low + (high − low)·(x − minimum)/range, for x [B, …] of any set."""
        flat("MinMax", x, self.minimum.shape)
        low, width = self._interval()
        return in_dtype_of(
            x,
            lambda x, first, range: low + width * ((x - first) / range),
            self.minimum[None],
            self.range[None],
        )

    def inverse(self, z: ArrayLike) -> jax.Array:
        """minimum + range·(z − low)/(high − low): undoes `apply`."""
        flat("MinMax", z, self.minimum.shape)
        low, width = self._interval()
        return in_dtype_of(
            z,
            lambda z, first, range: first + range * ((z - low) / width),
            self.minimum[None],
            self.range[None],
        )

    def _interval(self) -> tuple[jax.Array, jax.Array]:
        kind = self.minimum.dtype
        low, high = (as_hyperparameter(end).astype(kind) for end in (self.low, self.high))
        return low, high - low


def fit_min_max(
    x: ArrayLike, low: Number = 0.0, high: Number = 1.0, *, weights: ArrayLike | None = None
) -> MinMax:
    """The interval of each column of the training set, to be mapped to one interval for all.

        z = low + (high − low)·(x − min)/(max − min)

    Arguments:
        x: the *training* inputs, [n, …]; every entry behind the leading axis is a column.
        low, high: the ends of the interval.
        weights: [n]; samples of weight 0 are left out.

    Returns:
        A `MinMax` record with `apply` and `inverse`. A constant column becomes `low`.

    Raises:
        ValueError: no sample, weights of another shape. TypeError: an end is not a number.

    Example:
        >>> train = jnp.array([[0.0, 5.0], [4.0, 5.0], [1.0, 5.0]])
        >>> fit_min_max(train).apply(train)
        Array([[0.  , 0.  ],
               [1.  , 0.  ],
               [0.25, 0.  ]], dtype=float32)

    Elsewhere: scikit-learn's `MinMaxScaler`.
    """
    x, weights = training_set("fit_min_max", x, weights)
    first, last = extremes(x, weights)
    return MinMax(
        first,
        jnp.where(last > first, last - first, 1),
        check_number("fit_min_max(low)", low),
        check_number("fit_min_max(high)", high),
    )

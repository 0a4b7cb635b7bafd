"""Normal draws without outliers, widened so that the standard deviation is the one asked for."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record

__all__ = ["TruncatedNormal", "truncated_normal"]

# Standard deviation of a standard normal cut off at ±2: √(1 − 4·φ(2)/(2·Φ(2) − 1)).
STDDEV_WITHIN_TWO = 0.8796256610342398


@record
class TruncatedNormal:
    """See `truncated_normal`."""

    stddev: Number

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        kind = np.promote_types(dtype, np.float32)
        width = as_hyperparameter(self.stddev).astype(kind) / STDDEV_WITHIN_TWO
        draws = as_vector(lambda shape: jax.random.truncated_normal(key, -2.0, 2.0, shape, kind), shape)
        return (width * draws).astype(dtype)


def truncated_normal(stddev: Number = 1.0) -> TruncatedNormal:
    """Normal draws, those beyond two standard deviations drawn again, corrected for what that takes away.

        W = stddev/0.87962566 · z            z ~ N(0, 1) given |z| ≤ 2

    Arguments:
        stddev: standard deviation ≥ 0 of the result. The largest value is 2.27 times it.

    Returns:
        A `TruncatedNormal` record, called `(key, shape, dtype=float32)`.

    Raises:
        ValueError: a negative standard deviation. TypeError: an argument is not a number.

    Example:
        >>> kernel = truncated_normal(0.1)(jax.random.key(0), (100, 100))
        >>> print(f"{kernel.std():.2f} {abs(kernel).max():.2f}")
        0.10 0.23

    Source: the variance of a truncated normal; Keras's and JAX's `variance_scaling` correct so too.

    Elsewhere: `jax.nn.initializers.truncated_normal` and torch's `trunc_normal_` do not correct:
    cut off at ±2 their standard deviation is 0.88 of the one asked for.
    """
    return TruncatedNormal(check_number("truncated_normal(stddev)", stddev, "[0, inf)"))

"""Draws from a uniform distribution between two numbers."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, concrete, record

__all__ = ["Uniform", "uniform"]


@record
class Uniform:
    """See `uniform`."""

    low: Number
    high: Number

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        kind = np.promote_types(dtype, np.float32)
        low, high = (as_hyperparameter(end).astype(kind) for end in (self.low, self.high))
        draws = as_vector(lambda shape: jax.random.uniform(key, shape, kind), shape)
        return (low + (high - low) * draws).astype(dtype)


def uniform(low: Number = -0.05, high: Number = 0.05) -> Uniform:
    """Uniform draws.

        W ~ U[low, high)            mean (low + high)/2            variance (high − low)²/12

    Arguments:
        low, high: the ends, low ≤ high.

    Returns:
        A `Uniform` record, called `(key, shape, dtype=float32)`. Draws are made in at least float32
        and rounded to `dtype`, where they may reach `high`.

    Raises:
        ValueError: low > high. TypeError: an argument is not a number.

    Example:
        >>> kernel = uniform(-0.5, 0.5)(jax.random.key(0), (100, 100))
        >>> bool(abs(kernel).max() <= 0.5)
        True

    Source: Goodfellow, Bengio & Courville 2016, section 8.4; the ends must be symmetric for the mean to
    be 0.

    Elsewhere: `jax.nn.initializers.uniform(scale)` draws from [0, scale), whose mean is not 0; the
    ends ±0.05 are Keras's.
    """
    low, high = check_number("uniform(low)", low), check_number("uniform(high)", high)
    ends = concrete(low), concrete(high)
    if ends[0] is not None and ends[1] is not None and (ends[0] > ends[1]).any():
        raise ValueError(f"uniform(low) is {low}, expected at most high = {high}: exchange the two.")
    return Uniform(low, high)

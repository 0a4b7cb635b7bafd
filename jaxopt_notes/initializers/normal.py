"""Draws from a normal distribution of a given standard deviation."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record

__all__ = ["Normal", "normal"]


@record
class Normal:
    """See `normal`."""

    stddev: Number

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        kind = np.promote_types(dtype, np.float32)
        draws = as_vector(lambda shape: jax.random.normal(key, shape, kind), shape)
        return (as_hyperparameter(self.stddev).astype(kind) * draws).astype(dtype)


def normal(stddev: Number = 1.0) -> Normal:
    """Normal draws of mean 0.

        W ~ N(0, stddev²)

    Arguments:
        stddev: standard deviation ≥ 0; 1 is the notes' "standard initialization".

    Returns:
        A `Normal` record, called `(key, shape, dtype=float32)`. Draws are made in at least float32
        and rounded to `dtype`.

    Raises:
        ValueError: a negative standard deviation. TypeError: an argument is not a number.

    Example:
        >>> kernel = normal(0.1)(jax.random.key(0), (100, 100))
        >>> print(f"{kernel.std():.2f}")
        0.10

    Source: the study notes, which say that N(0, 1) gives pre-activations of variance 1. It gives
    n_in·E[x²]: at 128 inputs a standard deviation of 11.3, and saturated sigmoids. What gives 1 is a
    standard deviation of 1/√n_in (`lecun_normal`).

    Elsewhere: the default of `jax.nn.initializers.normal` is 0.01, that of torch 1.
    """
    return Normal(check_number("normal(stddev)", stddev, "[0, inf)"))

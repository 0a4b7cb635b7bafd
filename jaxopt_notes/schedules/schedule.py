"""A rate is a number or a schedule: a record called with the step, the first update being step 0."""

from typing import Any

import jax

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import as_leaf, check_number, is_function
from jaxopt_notes.schedules.horizon import Step, Time, number_of

__all__ = ["Rate", "check_rate", "rate_at"]

Rate = Any  # a number, or a callable step -> number
"""The type of a learning rate: a number, or a schedule, which is called with the step."""


class Schedule:
    """What the records of this subpackage are: they also take a step as a `Time`, exact beyond 2²⁴."""


def check_rate(where: str, rate: Rate, interval: str = "[0, inf)", remedy: str = "") -> Rate:
    """A number checked against `interval`, or a schedule fit to be a leaf.

    Any callable is a schedule: a record of `jaxopt_notes.schedules`, an optax schedule, a lambda.

    Example:
        >>> check_rate("adam(learning_rate)", -1.0)
        Traceback (most recent call last):
        ValueError: adam(learning_rate) is -1, expected a number in [0, inf).
    """
    return as_leaf(rate) if is_function(rate) else check_number(where, rate, interval, remedy)


def rate_at(rate: Rate, step: Step) -> jax.Array:
    """The value of a rate at a step, as a hyperparameter (float32, float64 under x64).

    Example:
        >>> [float(rate_at(rate, 4)) for rate in (0.5, lambda step: 2.0 * step)]
        [0.5, 8.0]
    """
    if isinstance(step, Time) and not isinstance(rate, Schedule):
        step = number_of(step)
    return as_hyperparameter(rate(step) if callable(rate) else rate)

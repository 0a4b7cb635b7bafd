"""Linear cosine decay: a cosine under a falling line."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.horizon import fraction, numbers


@record
class LinearCosine:
    """See `linear_cosine`."""

    init_value: Number
    decay_steps: Number
    num_periods: Number
    alpha: Number
    beta: Number

    def __call__(self, step: Any) -> jax.Array:
        init_value, periods, alpha, beta = numbers(self.init_value, self.num_periods, self.alpha, self.beta)
        share = fraction(step, self.decay_steps)
        wave = 0.5 * (1 + jnp.cos(2 * jnp.pi * periods * share))
        return init_value * ((alpha + 1 - share) * wave + beta)


def linear_cosine(
    init_value: Number,
    decay_steps: Number,
    num_periods: Number = 0.5,
    alpha: Number = 0.0,
    beta: Number = 0.001,
) -> LinearCosine:
    """Linear cosine decay.

        η(t) = η₀·((α + 1 − t/T)·½(1 + cos(2πn·t/T)) + β)            t ≤ T, then its value at T

    Arguments:
        init_value: η₀.
        decay_steps: T ≥ 0; 0 switches the decay off.
        num_periods: n, periods of the cosine within T; ½ falls all the way.
        alpha: lifts the line.
        beta: lifts the whole, so that the first value is (1 + α + β)·η₀.

    Returns:
        A `LinearCosine` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: no number.

    Example:
        >>> schedule = linear_cosine(1.0, decay_steps=10, beta=0.0)
        >>> [round(float(schedule(step)), 3) for step in (0, 5, 10)]
        [1.0, 0.25, 0.0]

    Source: Bello et al. 2017; row S4-15 of the notes. Elsewhere: TensorFlow 1's linear_cosine_decay.
    """
    return LinearCosine(
        check_number("linear_cosine(init_value)", init_value),
        check_number("linear_cosine(decay_steps)", decay_steps, "[0, inf)"),
        check_number("linear_cosine(num_periods)", num_periods, "[0, inf)"),
        check_number("linear_cosine(alpha)", alpha),
        check_number("linear_cosine(beta)", beta),
    )

"""Exponential decay: multiplied by the same factor over every horizon, continuously or at once."""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.horizon import Step, horizons, numbers, power, since, whole_horizons
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["Exponential", "exponential"]


@record
class Exponential(Schedule):
    """See `exponential`."""

    init_value: Number
    transition_steps: Number
    decay_rate: Number
    transition_begin: Number
    end_value: Number | None
    staircase: bool = static()

    def __call__(self, step: Step) -> jax.Array:
        init_value, decay_rate = numbers(self.init_value, self.decay_rate)
        begun = since(step, self.transition_begin)
        passed = (whole_horizons if self.staircase else horizons)(begun, self.transition_steps)
        rate = init_value * power(decay_rate, passed)
        if self.end_value is None:
            return rate
        (end_value,) = numbers(self.end_value)
        return jnp.where(decay_rate < 1, jnp.maximum(rate, end_value), jnp.minimum(rate, end_value))


def exponential(
    init_value: Number,
    transition_steps: Number,
    decay_rate: Number,
    transition_begin: Number = 0,
    staircase: bool = False,
    end_value: Number | None = None,
) -> Exponential:
    """Exponential decay.

        η(t) = η₀·γ^(t/s)            staircase: η₀·γ^⌊t/s⌋

    Arguments:
        init_value: η₀.
        transition_steps: s ≥ 0, the steps in which the value is multiplied once by γ; 0 switches it off.
        decay_rate: γ > 0; 1 is no decay, above 1 it grows.
        transition_begin: steps at η₀ before the decay begins.
        staircase: multiply at once at the end of every s steps (see `step`).
        end_value: where the decay stops, or None.

    Returns:
        An `Exponential` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = exponential(1.0, transition_steps=10, decay_rate=0.25)
        >>> [float(schedule(step)) for step in (0, 5, 10)]
        [1.0, 0.5, 0.25]

    Source: TensorFlow 1's `tf.train.exponential_decay`.

    Elsewhere: the formula and arguments of `optax.exponential_decay`; torch's ExponentialLR has s = 1.
    """
    return Exponential(
        check_number("exponential(init_value)", init_value),
        check_number("exponential(transition_steps)", transition_steps, "[0, inf)"),
        check_number("exponential(decay_rate)", decay_rate, "(0, inf)", "1 switches the decay off"),
        check_number("exponential(transition_begin)", transition_begin, "[0, inf)"),
        end_value if end_value is None else check_number("exponential(end_value)", end_value),
        bool(staircase),
    )

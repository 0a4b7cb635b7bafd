"""Polynomial decay: from one value to another along a power of the time that is left."""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.horizon import Step, fraction, numbers, periods, power, since
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["Polynomial", "polynomial"]


@record
class Polynomial(Schedule):
    """See `polynomial`."""

    init_value: Number
    end_value: Number
    power: Number
    transition_steps: Number
    transition_begin: Number
    cycle: bool = static()

    def __call__(self, step: Step) -> jax.Array:
        init_value, end_value, exponent = numbers(self.init_value, self.end_value, self.power)
        t = since(step, self.transition_begin)
        left = 1 - fraction(t, self.transition_steps)
        if self.cycle:
            count, share = periods(t, self.transition_steps)
            left = jnp.where((share > 0) | (count == 0), (1 - share) / (count + 1), 0)  # 1 − t/(T·⌈t/T⌉)
        return (init_value - end_value) * power(left, exponent) + end_value


def polynomial(
    init_value: Number,
    end_value: Number,
    power: Number,
    transition_steps: Number,
    transition_begin: Number = 0,
    cycle: bool = False,
) -> Polynomial:
    """Polynomial decay.

        η(t) = (η₀ − η_e)·(1 − t/T)^p + η_e            t ≤ T, then η_e
        cycle: T is replaced by T·⌈t/T⌉, at least T

    Arguments:
        init_value: η₀.
        end_value: η_e.
        power: p ≥ 0; 1 is linear, ½ falls late, 2 falls early.
        transition_steps: T ≥ 0; 0 switches the decay off.
        transition_begin: steps at η₀ before the decay begins.
        cycle: on reaching η_e rise again, to aim at it at the next multiple of T, ever lower.

    Returns:
        A `Polynomial` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = polynomial(1.0, 0.0, power=2, transition_steps=4)
        >>> [float(schedule(step)) for step in (0, 2, 4, 9)]
        [1.0, 0.25, 0.0, 0.0]

    Source: TensorFlow 1's `tf.train.polynomial_decay`.

    Elsewhere: `optax.polynomial_schedule`, which has no cycle; TensorFlow's PolynomialDecay has.
    """
    return Polynomial(
        check_number("polynomial(init_value)", init_value),
        check_number("polynomial(end_value)", end_value),
        check_number("polynomial(power)", power, "[0, inf)"),
        check_number("polynomial(transition_steps)", transition_steps, "[0, inf)"),
        check_number("polynomial(transition_begin)", transition_begin, "[0, inf)"),
        bool(cycle),
    )

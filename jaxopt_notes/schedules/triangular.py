"""Triangular cycles: up and down between two values, for ever."""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.horizon import Step, numbers, periods, power
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["Triangular", "triangular"]


@record
class Triangular(Schedule):
    """See `triangular`."""

    init_value: Number
    peak_value: Number
    transition_steps: Number
    m_mul: Number

    def __call__(self, step: Step) -> jax.Array:
        init_value, peak_value, m_mul = numbers(self.init_value, self.peak_value, self.m_mul)
        cycle, share = periods(step, 2 * self.transition_steps)
        height = 1 - jnp.abs(1 - 2 * share)
        return init_value + (peak_value - init_value) * power(m_mul, cycle) * height


def triangular(
    init_value: Number, peak_value: Number, transition_steps: Number, m_mul: Number = 1.0
) -> Triangular:
    """Cyclical rates: a line up and a line down, again and again.

        η(t) = η₀ + (η_p − η₀)·Mᶜ·(1 − |1 − 2(t/2s − c)|)            c = ⌊t/2s⌋

    Arguments:
        init_value: η₀, the lowest value.
        peak_value: η_p, the value after s steps.
        transition_steps: s ≥ 0, half a period; 0 switches the cycles off.
        m_mul: M > 0, how much higher each cycle is than the one before; ½ is Smith's "triangular2".

    Returns:
        A `Triangular` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = triangular(0.0, 1.0, transition_steps=4)
        >>> [float(schedule(step)) for step in (0, 2, 4, 6, 8, 12)]
        [0.0, 0.5, 1.0, 0.5, 0.0, 1.0]

    Source: Smith 2017, section 3. Elsewhere: torch's CyclicLR.
    """
    return Triangular(
        check_number("triangular(init_value)", init_value),
        check_number("triangular(peak_value)", peak_value),
        check_number("triangular(transition_steps)", transition_steps, "[0, inf)"),
        check_number("triangular(m_mul)", m_mul, "(0, inf)"),
    )

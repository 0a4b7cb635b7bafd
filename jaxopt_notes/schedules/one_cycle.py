"""One cycle: a single rise and fall over the whole training, the fall far below the start."""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.cosine import half_cosine
from jaxopt_notes.schedules.horizon import Step, fraction, numbers
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["OneCycle", "one_cycle"]


@record
class OneCycle(Schedule):
    """See `one_cycle`."""

    transition_steps: Number
    peak_value: Number
    pct_start: Number
    div_factor: Number
    final_div_factor: Number

    def __call__(self, step: Step) -> jax.Array:
        t, T, start, peak = numbers(step, self.transition_steps, self.pct_start, self.peak_value)
        div, final = numbers(self.div_factor, self.final_div_factor)
        rise = half_cosine(fraction(t, start * T))
        fall = half_cosine(fraction(t - start * T, T - start * T))
        first, last = peak / div, peak / (div * final)
        return jnp.where(t < start * T, peak + (first - peak) * rise, last + (peak - last) * fall)


def one_cycle(
    transition_steps: Number,
    peak_value: Number,
    pct_start: Number = 0.3,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
) -> OneCycle:
    """One cycle: a cosine up, then a cosine down.

        from η_p/d to η_p                in the first share a of T steps
        from η_p to η_p/(d·f)            in the rest

    Arguments:
        transition_steps: T ≥ 0, the steps of the whole training; at 0 the value stays at the peak.
        peak_value: η_p.
        pct_start: a in [0, 1], the share of T that is rise.
        div_factor: d > 0, the peak over the first value.
        final_div_factor: f > 0, the first value over the last.

    Returns:
        A `OneCycle` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = one_cycle(10, 1.0, div_factor=4.0, final_div_factor=2.0)
        >>> [round(float(schedule(step)), 3) for step in (0, 3, 10, 20)]
        [0.25, 1.0, 0.125, 0.125]

    Source: Smith & Topin 2018.

    Elsewhere: the arguments and values of `optax.cosine_onecycle_schedule`, which rounds the step of
    the peak down; torch's OneCycleLR reaches peak and end one step earlier.
    """
    return OneCycle(
        check_number("one_cycle(transition_steps)", transition_steps, "[0, inf)"),
        check_number("one_cycle(peak_value)", peak_value),
        check_number("one_cycle(pct_start)", pct_start, "[0, 1]"),
        check_number("one_cycle(div_factor)", div_factor, "(0, inf)"),
        check_number("one_cycle(final_div_factor)", final_div_factor, "(0, inf)"),
    )

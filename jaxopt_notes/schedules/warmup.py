"""Warm-up: a linear ramp in front of any schedule."""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.horizon import Step, fraction, numbers, reached, since
from jaxopt_notes.schedules.schedule import Rate, Schedule, check_rate, rate_at

__all__ = ["Warmup", "warmup"]


@record
class Warmup(Schedule):
    """See `warmup`."""

    steps: Number
    schedule: Rate
    init_value: Number

    def __call__(self, step: Step) -> jax.Array:
        (init_value,) = numbers(self.init_value)
        passed = fraction(step, self.steps)
        peak = rate_at(self.schedule, jnp.zeros_like(passed))
        ramp = init_value + (peak - init_value) * passed
        return jnp.where(reached(step, self.steps), rate_at(self.schedule, since(step, self.steps)), ramp)


def warmup(steps: Number, schedule: Rate, init_value: Number = 0.0) -> Warmup:
    """A linear ramp up to the first value of a schedule, which then begins.

        η(t) = η_i + (s(0) − η_i)·t/w            t < w
        η(t) = s(t − w)                          t ≥ w

    Arguments:
        steps: w ≥ 0, the length of the ramp; 0 is the schedule alone.
        schedule: s, a schedule or a number; its own time begins when the ramp ends.
        init_value: η_i, the value at step 0. At 0 the first update changes nothing.

    Returns:
        A `Warmup` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = warmup(4, 1.0)
        >>> [float(schedule(step)) for step in (0, 1, 4, 9)]
        [0.0, 0.25, 1.0, 1.0]

    Source: Goyal et al. 2017, section 2.2.

    Elsewhere: optax has one such function for each kind of schedule
    (`warmup_constant_schedule(init_value, peak_value, warmup_steps)`, …).
    """
    return Warmup(
        check_number("warmup(steps)", steps, "[0, inf)"),
        check_rate("warmup(schedule)", schedule, "(-inf, inf)"),
        check_number("warmup(init_value)", init_value),
    )

"""Noam: the schedule of the Transformer, a linear rise and then the inverse square root."""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.horizon import Step, numbers
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["Noam", "noam"]


@record
class Noam(Schedule):
    """See `noam`."""

    d_model: Number
    warmup_steps: Number
    factor: Number

    def __call__(self, step: Step) -> jax.Array:
        t, w, d_model, factor = numbers(step, self.warmup_steps, self.d_model, self.factor)
        n = jnp.maximum(t, 0) + 1
        rise = jnp.where(w > 0, n * jnp.where(w > 0, w, 1) ** -1.5, jnp.inf)
        return factor * d_model**-0.5 * jnp.minimum(n**-0.5, rise)


def noam(d_model: Number, warmup_steps: Number, factor: Number = 1.0) -> Noam:
    """The Transformer's schedule.

        η(t) = f·d^(−½)·min(n^(−½), n·w^(−3/2))            n = t + 1

    Arguments:
        d_model: d > 0, the width of the model.
        warmup_steps: w ≥ 0; update number w has the peak, f/√(d·w). 0 leaves the fall alone.
        factor: f.

    Returns:
        A `Noam` record, called with the step; step 0 is the paper's step 1.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = noam(d_model=4, warmup_steps=16)
        >>> [float(schedule(step)) for step in (0, 15, 63)]
        [0.0078125, 0.125, 0.0625]

    Source: Vaswani et al. 2017, eq. 3.
    """
    return Noam(
        check_number("noam(d_model)", d_model, "(0, inf)"),
        check_number("noam(warmup_steps)", warmup_steps, "[0, inf)"),
        check_number("noam(factor)", factor),
    )

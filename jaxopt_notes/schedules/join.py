"""Schedules one after the other, each with a time of its own."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, record
from jaxopt_notes.schedules.horizon import Step, as_time, reached, since
from jaxopt_notes.schedules.piecewise import check_boundaries
from jaxopt_notes.schedules.schedule import Rate, Schedule, check_rate, rate_at

__all__ = ["Join", "join"]


@record
class Join(Schedule):
    """See `join`."""

    schedules: tuple[Rate, ...]
    boundaries: tuple[Number, ...]

    def __call__(self, step: Step) -> jax.Array:
        rate = rate_at(self.schedules[0], as_time(step))
        for boundary, schedule in zip(self.boundaries, self.schedules[1:], strict=True):
            # No schedule is asked about a time before its own: what is not selected must be finite too.
            rate = jnp.where(reached(step, boundary), rate_at(schedule, since(step, boundary)), rate)
        return rate


def join(schedules: Sequence[Rate], boundaries: Sequence[Number]) -> Join:
    """Schedules one after the other.

        η(t) = sᵢ(t − bᵢ)            bᵢ ≤ t < bᵢ₊₁, with b₀ = 0

    Arguments:
        schedules: schedules or numbers; the time of each begins at its boundary.
        boundaries: the first steps of all but the first, in rising order: one fewer than schedules.

    Returns:
        A `Join` record, called with the step.

    Raises:
        ValueError: boundaries that fall, or whose number does not fit.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.schedules.linear import linear
        >>> schedule = join([1.0, linear(1.0, 0.0, 4)], boundaries=[10])
        >>> [float(schedule(step)) for step in (9, 10, 11, 14)]
        [1.0, 1.0, 0.75, 0.0]

    Elsewhere: `optax.join_schedules`, which takes no numbers; torch's SequentialLR.
    """
    schedules = tuple(check_rate("join(schedules)", schedule, "(-inf, inf)") for schedule in schedules)
    return Join(schedules, check_boundaries("join(boundaries)", boundaries, len(schedules)))

"""Piecewise constant: a table of values and of the steps at which the next one begins."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import Number, check_number, concrete, record
from jaxopt_notes.schedules.horizon import Step, as_time, numbers, reached
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["Piecewise", "piecewise"]


@record
class Piecewise(Schedule):
    """See `piecewise`."""

    boundaries: tuple[Number, ...]
    values: tuple[Number, ...]

    def __call__(self, step: Step) -> jax.Array:
        first, *others = numbers(*self.values)
        rate = jnp.broadcast_to(first, as_time(step).whole.shape)
        for boundary, value in zip(self.boundaries, others, strict=True):
            rate = jnp.where(reached(step, boundary), value, rate)
        return rate


def check_boundaries(where: str, boundaries: Sequence[Number], pieces: int) -> tuple[Number, ...]:
    """The boundaries as a tuple, checked to rise and to be one fewer than the pieces between them."""
    boundaries = tuple(check_number(where, boundary, "[0, inf)") for boundary in boundaries)
    if len(boundaries) != pieces - 1:
        raise ValueError(
            f"{where} has {len(boundaries)} entries, expected {pieces - 1}: one between each two of {pieces}."
        )
    known = [concrete(boundary) for boundary in boundaries]
    pairs = [(a, b) for a, b in itertools.pairwise(known) if a is not None and b is not None]
    if any(np.any(a > b) for a, b in pairs):
        raise ValueError(f"{where} is {boundaries}, expected steps in rising order: sort them.")
    return boundaries


def piecewise(boundaries: Sequence[Number], values: Sequence[Number]) -> Piecewise:
    """Piecewise constant values.

        η(t) = values[i], where i is the number of boundaries ≤ t

    Arguments:
        boundaries: steps in rising order; at the boundary itself the new value holds.
        values: one more than boundaries.

    Returns:
        A `Piecewise` record, called with the step.

    Raises:
        ValueError: boundaries that fall, or whose number does not fit.
        TypeError: an argument is not a number.

    Example:
        >>> schedule = piecewise([10, 20], [0.5, 0.25, 0.125])
        >>> [float(schedule(step)) for step in (9, 10, 20)]
        [0.5, 0.25, 0.125]

    Source: TensorFlow 1's `tf.train.piecewise_constant`.

    Elsewhere: `optax.piecewise_constant_schedule` takes factors, each multiplied into the value
    before; TensorFlow's PiecewiseConstantDecay keeps the old value at the boundary.
    """
    values = tuple(check_number("piecewise(values)", value) for value in values)
    return Piecewise(check_boundaries("piecewise(boundaries)", boundaries, len(values)), values)

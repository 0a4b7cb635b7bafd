"""Linear decay or growth: polynomial decay of power 1."""

from jaxopt_notes.record import Number
from jaxopt_notes.schedules.polynomial import Polynomial, polynomial

__all__ = ["linear"]


def linear(
    init_value: Number, end_value: Number, transition_steps: Number, transition_begin: Number = 0
) -> Polynomial:
    """A straight line from one value to another, then constant.

        η(t) = η₀ + (η_e − η₀)·t/T            t ≤ T, then η_e

    Arguments:
        init_value: η₀.
        end_value: η_e.
        transition_steps: T ≥ 0; 0 switches the change off.
        transition_begin: steps at η₀ before the change begins.

    Returns:
        A `Polynomial` record of power 1, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = linear(1.0, 0.0, transition_steps=4)
        >>> [float(schedule(step)) for step in (0, 1, 4, 9)]
        [1.0, 0.75, 0.0, 0.0]

    Source: Goodfellow, Bengio & Courville 2016, eq. 8.14. Elsewhere: `optax.linear_schedule`; torch's
    LinearLR takes factors.
    """
    return polynomial(init_value, end_value, 1.0, transition_steps, transition_begin)

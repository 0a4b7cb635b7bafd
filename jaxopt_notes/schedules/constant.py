"""The schedule that never changes."""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.horizon import Step, as_time
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["Constant", "constant"]


@record
class Constant(Schedule):
    """See `constant`."""

    value: Number

    def __call__(self, step: Step) -> jax.Array:
        return jnp.broadcast_to(as_hyperparameter(self.value), as_time(step).whole.shape)


def constant(value: Number) -> Constant:
    """The same value at every step.

        η(t) = value

    Arguments:
        value: a number.

    Returns:
        A `Constant` record, called with the step. Where a rate is expected the number itself does as well.

    Raises:
        TypeError: an argument is not a number.

    Example:
        >>> float(constant(0.5)(1000))
        0.5

    Elsewhere: `optax.constant_schedule(value)`.
    """
    return Constant(check_number("constant(value)", value))

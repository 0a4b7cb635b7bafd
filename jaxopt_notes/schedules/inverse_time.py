"""Inverse-time decay: slow enough to reach any distance, fast enough to average out noise.

The steps sum to infinity and their squares do not (Robbins & Monro): stochastic gradient descent
with it converges to the minimum itself, and not to a neighbourhood of it.
"""

import jax

from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.horizon import Step, horizons, numbers, whole_horizons
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["InverseTime", "inverse_time"]


@record
class InverseTime(Schedule):
    """See `inverse_time`."""

    init_value: Number
    decay_rate: Number
    transition_steps: Number
    staircase: bool = static()

    def __call__(self, step: Step) -> jax.Array:
        init_value, decay_rate = numbers(self.init_value, self.decay_rate)
        passed = (whole_horizons if self.staircase else horizons)(step, self.transition_steps)
        return init_value / (1 + decay_rate * passed)


def inverse_time(
    init_value: Number, decay_rate: Number, transition_steps: Number = 1, staircase: bool = False
) -> InverseTime:
    """Inverse-time (1/t) decay.

        η(t) = η₀/(1 + k·t/s)            staircase: η₀/(1 + k·⌊t/s⌋)

    Arguments:
        init_value: η₀.
        decay_rate: k ≥ 0; after s/k steps the value is half of η₀. 0 switches the decay off.
        transition_steps: s ≥ 0; 0 switches the decay off.
        staircase: decay at once at the end of every s steps.

    Returns:
        An `InverseTime` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = inverse_time(1.0, decay_rate=0.1)
        >>> [float(schedule(step)) for step in (0, 10, 30)]
        [1.0, 0.5, 0.25]

    Source: Robbins & Monro 1951.

    Elsewhere: TensorFlow's InverseTimeDecay; optax and torch have none.
    """
    return InverseTime(
        check_number("inverse_time(init_value)", init_value),
        check_number("inverse_time(decay_rate)", decay_rate, "[0, inf)"),
        check_number("inverse_time(transition_steps)", transition_steps, "[0, inf)"),
        bool(staircase),
    )

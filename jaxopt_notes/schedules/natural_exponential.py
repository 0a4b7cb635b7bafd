"""Natural exponential decay: the same as exponential decay, given by its rate instead of its factor."""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.horizon import Step, horizons, numbers, whole_horizons
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["NaturalExponential", "natural_exponential"]


@record
class NaturalExponential(Schedule):
    """See `natural_exponential`."""

    init_value: Number
    decay_rate: Number
    transition_steps: Number
    staircase: bool = static()

    def __call__(self, step: Step) -> jax.Array:
        init_value, decay_rate = numbers(self.init_value, self.decay_rate)
        passed = (whole_horizons if self.staircase else horizons)(step, self.transition_steps)
        return init_value * jnp.exp(-decay_rate * passed)


def natural_exponential(
    init_value: Number, decay_rate: Number, transition_steps: Number = 1, staircase: bool = False
) -> NaturalExponential:
    """Natural exponential decay.

        η(t) = η₀·e^(−k·t/s)            staircase: η₀·e^(−k·⌊t/s⌋)

    Arguments:
        init_value: η₀.
        decay_rate: k ≥ 0, the share lost per s steps while it is small; 0 switches the decay off.
        transition_steps: s ≥ 0; 0 switches the decay off.
        staircase: decay at once at the end of every s steps.

    Returns:
        A `NaturalExponential` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> print(f"{natural_exponential(1.0, decay_rate=0.1)(10):.4f}")
        0.3679

    Source: TensorFlow 1's `tf.train.natural_exp_decay`. The book they cite prints e^(−k/t), which grows
    with t.

    Elsewhere: exponential decay with γ = e^(−k); TensorFlow 1 had natural_exp_decay.
    """
    return NaturalExponential(
        check_number("natural_exponential(init_value)", init_value),
        check_number("natural_exponential(decay_rate)", decay_rate, "[0, inf)"),
        check_number("natural_exponential(transition_steps)", transition_steps, "[0, inf)"),
        bool(staircase),
    )

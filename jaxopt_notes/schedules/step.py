"""Step decay: the staircase form of exponential decay, under the name everybody uses."""

from jaxopt_notes.record import Number
from jaxopt_notes.schedules.exponential import Exponential, exponential

__all__ = ["step"]


def step(init_value: Number, transition_steps: Number, decay_rate: Number = 0.5) -> Exponential:
    """Step decay: halved (or cut to a tenth) every few steps.

        η(t) = η₀·γ^⌊t/s⌋

    Arguments:
        init_value: η₀.
        transition_steps: s ≥ 0, the steps between two drops; 0 switches it off.
        decay_rate: γ > 0; 0.5 or 0.1 is usual.

    Returns:
        An `Exponential` record with `staircase=True`, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = step(1.0, transition_steps=10)
        >>> [float(schedule(t)) for t in (9, 10, 20)]
        [1.0, 0.5, 0.25]

    Source: the lectures CS231n, "Annealing the learning rate".

    Elsewhere: torch's StepLR(step_size=s, gamma=γ), whose γ is 0.1 by default;
    `optax.exponential_decay(staircase=True)`.
    """
    return exponential(init_value, transition_steps, decay_rate, staircase=True)

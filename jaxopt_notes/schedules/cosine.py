"""Cosine decay: half a period of a cosine, flat at both ends."""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.horizon import Step, fraction, numbers, power
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["Cosine", "cosine"]


@record
class Cosine(Schedule):
    """See `cosine`."""

    init_value: Number
    decay_steps: Number
    alpha: Number
    exponent: Number

    def __call__(self, step: Step) -> jax.Array:
        init_value, alpha, exponent = numbers(self.init_value, self.alpha, self.exponent)
        falling = power(half_cosine(fraction(step, self.decay_steps)), exponent)
        return init_value * ((1 - alpha) * falling + alpha)


def half_cosine(share: jax.Array) -> jax.Array:
    """½(1 + cos πx): from 1 at x = 0 to 0 at x = 1."""
    return 0.5 * (1 + jnp.cos(jnp.pi * share))


def cosine(init_value: Number, decay_steps: Number, alpha: Number = 0.0, exponent: Number = 1.0) -> Cosine:
    """Cosine decay.

        η(t) = η₀·((1 − α)·(½(1 + cos πt/T))^p + α)            t ≤ T, then η₀·α

    Arguments:
        init_value: η₀.
        decay_steps: T ≥ 0; 0 switches the decay off.
        alpha: the last value as a share of η₀.
        exponent: p ≥ 0.

    Returns:
        A `Cosine` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = cosine(1.0, decay_steps=10)
        >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 20)]
        [1.0, 0.5, 0.0, 0.0]

    Source: Loshchilov & Hutter 2017, eq. 5.

    Elsewhere: the arguments and formula of `optax.cosine_decay_schedule`, which refuses 0 steps.
    torch's CosineAnnealingLR rises again after T.
    """
    return Cosine(
        check_number("cosine(init_value)", init_value),
        check_number("cosine(decay_steps)", decay_steps, "[0, inf)"),
        check_number("cosine(alpha)", alpha),
        check_number("cosine(exponent)", exponent, "[0, inf)"),
    )

"""Warm-up and cosine decay, the most used pair, under one name."""

from jaxopt_notes.record import Number
from jaxopt_notes.schedules.cosine import cosine
from jaxopt_notes.schedules.warmup import Warmup, warmup

__all__ = ["warmup_cosine"]


def warmup_cosine(
    init_value: Number,
    peak_value: Number,
    warmup_steps: Number,
    decay_steps: Number,
    alpha: Number = 0.0,
) -> Warmup:
    """A linear ramp, then cosine decay.

        η(t) = η_i + (η_p − η_i)·t/w                                     t < w
        η(t) = η_p·((1 − α)·½(1 + cos(π·(t − w)/(T − w))) + α)           w ≤ t ≤ T, then η_p·α

    Arguments:
        init_value: η_i, the value at step 0.
        peak_value: η_p.
        warmup_steps: w ≥ 0, the length of the ramp.
        decay_steps: T > w, ramp and decay together; at T = w the decay is off.
        alpha: the last value as a share of the peak.

    Returns:
        `warmup(warmup_steps, cosine(peak_value, decay_steps - warmup_steps, alpha), init_value)`.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = warmup_cosine(0.0, 1.0, warmup_steps=2, decay_steps=10)
        >>> [round(float(schedule(step)), 3) for step in (0, 1, 2, 6, 10)]
        [0.0, 0.5, 1.0, 0.5, 0.0]

    Source: Goyal et al. 2017, section 2.2; Loshchilov & Hutter 2017, eq. 5.

    Elsewhere: `optax.warmup_cosine_decay_schedule`, which takes end_value = α·η_p.
    """
    return warmup(warmup_steps, cosine(peak_value, decay_steps - warmup_steps, alpha), init_value)

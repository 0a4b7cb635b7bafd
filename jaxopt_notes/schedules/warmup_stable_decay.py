"""Warm-up, stable, decay: a ramp, a long plateau, a short fall at the end."""

from jaxopt_notes.record import Number
from jaxopt_notes.schedules.join import Join, join
from jaxopt_notes.schedules.linear import linear

__all__ = ["warmup_stable_decay"]


def warmup_stable_decay(
    peak_value: Number,
    warmup_steps: Number,
    stable_steps: Number,
    decay_steps: Number,
    init_value: Number = 0.0,
    end_value: Number = 0.0,
) -> Join:
    """A trapezoid, whose plateau can be prolonged without planning the end.

        η_i → η_p in w steps, η_p for s steps, η_p → η_e in d steps, then η_e

    Arguments:
        peak_value: η_p.
        warmup_steps, stable_steps, decay_steps: w, s, d ≥ 0.
        init_value: η_i, the value at step 0.
        end_value: η_e.

    Returns:
        A `Join` of two lines with a number between them, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = warmup_stable_decay(1.0, 2, 4, 2)
        >>> [float(schedule(step)) for step in (0, 1, 2, 6, 7, 8)]
        [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]

    Source: Hu et al. 2024 (MiniCPM), section 4.
    """
    rise = linear(init_value, peak_value, warmup_steps)
    fall = linear(peak_value, end_value, decay_steps)
    return join([rise, peak_value, fall], [warmup_steps, warmup_steps + stable_steps])

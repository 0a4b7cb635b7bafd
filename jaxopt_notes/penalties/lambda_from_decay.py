"""The L2 penalty that one multiplicative weight decay amounts to, under plain gradient descent."""

import jax

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_number

__all__ = ["lambda_from_decay"]


def lambda_from_decay(decay: Number, learning_rate: Number, *, after_step: bool = False) -> jax.Array:
    """The strength λ of the `l2` penalty that equals multiplying the parameters by a factor each step.

        θ ← w·θ − η·∇J        is a step η of J + ½λ‖θ‖²,     λ = (1 − w)/η
        θ ← w·(θ − η·∇J)      is a step wη of J + ½λ‖θ‖²,    λ = (1 − w)/(w·η)

    Arguments:
        decay: w in (0, 1], the factor that the parameters keep each step.
        learning_rate: η > 0.
        after_step: False if θ is multiplied before the gradient is subtracted (the first line), True
            if the result of the step is multiplied (the second); structure, not a number.

    Returns:
        λ, float32 (float64 under x64).

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> round(float(lambda_from_decay(0.5, learning_rate=0.1)), 4)
        5.0
        >>> round(float(lambda_from_decay(0.5, learning_rate=0.1, after_step=True)), 4)
        10.0

    Source: the study notes, corrected: there the penalty is (1 − w)/2·‖θ‖², which holds only
    for η = 1. With momentum or Adam no penalty equals weight decay (Loshchilov & Hutter 2019).
    """
    decay = check_number("lambda_from_decay(decay)", decay, "(0, 1]", "1 is no decay")
    rate = check_number("lambda_from_decay(learning_rate)", learning_rate, "(0, inf)")
    w, eta = as_hyperparameter(decay), as_hyperparameter(rate)
    return (1 - w) / (w * eta if after_step else eta)

"""The four cases of training and validation error, and what to do in each."""

from typing import NamedTuple

from jaxopt_notes.record import check_number

__all__ = ["FitDiagnosis", "diagnose_fit"]

_FOR_BIAS = (
    "a larger or better suited model",
    "longer training, or an optimizer that gets further",
    "less regularization: penalties, dropout, augmentation",
    "better features",
)
_FOR_VARIANCE = (
    "more data, or augmentation",
    "regularization: penalties, dropout, early stopping",
    "an ensemble",
    "a smaller model, or fewer features",
)


class FitDiagnosis(NamedTuple):
    """What two errors say of a model.

    Arguments:
        bias: the training error above the target.
        gap: the validation error above the training error.
        high_bias, high_variance: whether they are above what is tolerated.
        label: "right fit", "under-fitting", "over-fitting" or "under- and over-fitting".
        advice: what helps, the likeliest first; empty for a right fit.

    Example:
        >>> diagnose_fit(0.01, 0.13).advice[0]
        'more data, or augmentation'
    """

    bias: float
    gap: float
    high_bias: bool
    high_variance: bool
    label: str
    advice: tuple[str, ...]


def diagnose_fit(
    train_error: float,
    valid_error: float,
    target: float = 0.0,
    *,
    bias_tolerance: float = 0.05,
    variance_tolerance: float = 0.05,
) -> FitDiagnosis:
    """Which of four cases a pair of errors is, and what to do about it.

        bias = train_error − target,     gap = valid_error − train_error

    Arguments:
        train_error, valid_error: parts in [0, 1], or losses.
        target: what could be reached: the error of people, or of noise alone.
        bias_tolerance: the bias that passes, ≥ 0, in the errors' unit; 5 percent of the samples by default.
        variance_tolerance: the gap that passes, likewise.

    Returns:
        A `FitDiagnosis`.

    Raises:
        ValueError: an error that is NaN, or a tolerance below 0. TypeError: an argument is not a number.

    Example:
        >>> for errors in [(0.015, 0.017), (0.123, 0.114), (0.012, 0.131), (0.123, 0.215)]:
        ...     print(diagnose_fit(*errors).label)
        right fit
        under-fitting
        over-fitting
        under- and over-fitting

    The study notes call the last case under-fitting. It is both: the training error is high, and the
    validation error much higher; bias comes first there, because what helps against it shows whether the gap
    stays. A gap is a sign of variance, not its measure: that is over training sets (`bias_variance`).
    """
    train = float(check_number("diagnose_fit(train_error)", train_error, "[-inf, inf]"))
    valid = float(check_number("diagnose_fit(valid_error)", valid_error, "[-inf, inf]"))
    bias = train - float(check_number("diagnose_fit(target)", target))
    gap = valid - train
    high_bias = bias > float(check_number("diagnose_fit(bias_tolerance)", bias_tolerance, "[0, inf)"))
    high_variance = gap > float(
        check_number("diagnose_fit(variance_tolerance)", variance_tolerance, "[0, inf)")
    )
    label = {
        (False, False): "right fit",
        (True, False): "under-fitting",
        (False, True): "over-fitting",
        (True, True): "under- and over-fitting",
    }[high_bias, high_variance]
    advice = (_FOR_BIAS if high_bias else ()) + (_FOR_VARIANCE if high_variance else ())
    return FitDiagnosis(bias, gap, high_bias, high_variance, label, advice)

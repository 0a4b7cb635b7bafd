"""What the shape of a loss curve says: of the learning rate, and of when to stop.

`diagnose_fit` reads two errors at the end; this reads the way there.
"""

from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.record import check_count, check_number

__all__ = ["CurveDiagnosis", "diagnose_loss_curve", "falls_monotonically", "suggest_epochs"]

_ADVICE = {
    "diverging": "a learning rate several times lower, or gradients clipped; check the data for NaN",
    "very high rate": "a learning rate several times lower",
    "high rate": "a lower learning rate, or one that decays: the loss settles early and high, or jumps",
    "low rate": "a higher learning rate, or more epochs: the loss still falls as fast as it began",
    "flat": "a higher learning rate, another initialization, or a look at the gradients: nothing is learned",
    "good": "",
}


class CurveDiagnosis(NamedTuple):
    """What a loss curve looks like.

    Arguments:
        label: "good", "low rate", "high rate", "very high rate", "diverging" or "flat".
        advice: what to try.
        fall: how much of the first loss is gone at the end, 1 − last/first; below 0 if it has risen.
        half_way: after which part of the epochs half of the fall was made, in [0, 1].
        roughness: the mean rise from epoch to epoch over the whole fall: 0 if it never rises.

    Example:
        >>> diagnose_loss_curve([2.3, 1.2, 0.7, 0.5, 0.4, 0.35, 0.32, 0.3]).label
        'good'
    """

    label: str
    advice: str
    fall: float
    half_way: float
    roughness: float


def diagnose_loss_curve(losses: ArrayLike, *, tolerance: float = 0.02) -> CurveDiagnosis:
    """Which of the curves of a learning rate this is: very high, high, good or low; flat; or diverging.

        fall = 1 − l_end/l_start,     roughness = Σ max(0, lₜ₊₁ − lₜ)/Σ|lₜ₊₁ − lₜ|

    Arguments:
        losses: [epochs] of a training loss ≥ 0, at least 4. l_end is the mean over the last tenth.
        tolerance: a change of this part of the first loss is none, in [0, 1).

    Returns:
        A `CurveDiagnosis`: diverging: not finite, or above ten times the first loss; very high rate: it ends
        above where it began; flat: no change; low rate: after half the epochs less than three fifths of the
        fall is made, steadily; high rate: more than a third of all movement is upwards, or it stops early, in
        the first tenth, above half of the first loss; else good. Rules of thumb: look at the curve too.

    Raises:
        ValueError: fewer than 4 losses, or a first one that is not above 0.

    Example:
        >>> for curve in ([2.3, 2.29, 2.31, 2.3], [1, 3, 2, 9], [1.0, 0.9, 0.8, 0.7], [1, 50, 900, 1e9]):
        ...     print(diagnose_loss_curve(curve).label)
        flat
        very high rate
        low rate
        diverging

    Source: the lectures CS231n, "Loss function", the picture of four learning rates.
    """
    tolerance = float(check_number("diagnose_loss_curve(tolerance)", tolerance, "[0, 1)"))
    curve = np.asarray(losses, float)
    if curve.ndim != 1 or len(curve) < 4:
        raise ValueError(
            f"diagnose_loss_curve(losses) has shape {curve.shape}, expected [epochs], at least 4."
        )
    if not curve[0] > 0:
        raise ValueError(f"diagnose_loss_curve(losses) begins with {curve[0]:g}, expected a loss above 0.")
    if not np.isfinite(curve).all() or curve.max() > 10 * curve[0]:
        return _diagnosis("diverging", curve, 0.0, 0.0)
    moves = np.diff(curve)
    total = np.abs(moves).sum()
    roughness = float(np.maximum(moves, 0).sum() / total) if total else 0.0
    end = curve[-max(len(curve) // 10, 1) :].mean()
    fall = curve[0] - end
    half_way = float(np.argmax(curve <= curve[0] - fall / 2) / (len(curve) - 1)) if fall > 0 else 1.0
    low = tolerance * curve[0]
    if fall < -low:
        label = "very high rate"
    elif fall <= low:
        label = "flat"
    elif roughness > 1 / 3:
        label = "high rate"
    elif half_way >= 0.4:
        label = "low rate"
    elif curve[max(len(curve) // 10, 1)] - end <= low and end > curve[0] / 2:
        label = "high rate"
    else:
        label = "good"
    return _diagnosis(label, curve, half_way, roughness)


def _diagnosis(label: str, curve: np.ndarray, half_way: float, roughness: float) -> CurveDiagnosis:
    end = curve[-max(len(curve) // 10, 1) :].mean()
    return CurveDiagnosis(label, _ADVICE[label], float(1 - end / curve[0]), half_way, roughness)


def falls_monotonically(losses: ArrayLike, *, tolerance: float = 0.0) -> bool:
    """Whether a loss never rises, as full-batch descent with a small rate and without dropout must.

        lₜ₊₁ ≤ lₜ·(1 + tolerance) for all t

    Arguments:
        losses: [epochs].
        tolerance: a rise of this part is rounding.

    Returns:
        A bool. With a mask of dropout drawn anew each step the loss that falls is an expectation, and single
        values rise: switch it off (rate 0), see that this holds, and switch it on.

    Raises:
        ValueError: a tolerance below 0.

    Example:
        >>> falls_monotonically([3.0, 2.0, 2.0]), falls_monotonically([3.0, 2.0, 2.1])
        (True, False)

    Source: the study notes on what dropout costs.
    """
    part = float(check_number("falls_monotonically(tolerance)", tolerance, "[0, inf)"))
    curve = np.asarray(losses, float)
    return bool((curve[1:] <= curve[:-1] + part * np.abs(curve[:-1])).all())


def suggest_epochs(valid_losses: Any, extra: int = 2) -> int:
    """How many epochs to train, from the curve of a run that was too long.

        argmin_t l_valid(t) + extra

    Arguments:
        valid_losses: [epochs], the first after one epoch; NaN never counts as the least.
        extra: epochs beyond the onset of over-fitting, ≥ 0.

    Returns:
        A number of epochs, at most those of the curve: beyond it nothing is known.

    Raises:
        ValueError: no finite loss, or extra < 0.

    Example:
        >>> suggest_epochs([3.0, 2.0, 1.0, 1.5, 1.8, 2.5])
        5

    Source: the study notes, a heuristic; early stopping with `patience` finds it without a second run.
    """
    extra = check_count("suggest_epochs(extra)", extra)
    curve = np.asarray(valid_losses, float)
    if curve.ndim != 1 or not np.isfinite(curve).any():
        raise ValueError("suggest_epochs(valid_losses) has no finite loss, expected [epochs] of them.")
    return min(int(np.nanargmin(np.where(np.isfinite(curve), curve, np.nan))) + 1 + extra, len(curve))

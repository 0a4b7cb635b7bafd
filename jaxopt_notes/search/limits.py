"""When a search has had enough: a target is met, its time is spent, or nothing has improved for long.

A strategy ends by itself when its configurations are used up. These limits end it sooner, between two
batches, so a strategy that would ask for everything at once is then asked for `AT_ONCE` at a time.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_notes.record import check_count, check_number

AT_ONCE = 16  # configurations between two looks at the limits


class Limits(NamedTuple):
    """What ends a search early, if anything.

    Arguments:
        target: the cost at which it is good enough: minimized, as strategies are told.
        seconds: from `began` on.
        patience: configurations in a row without a new best.
        began: on the clock of `time.monotonic`.
    """

    target: float | None
    seconds: float | None
    patience: int | None
    began: float

    def batch(self, wanted: int) -> int:
        """How many configurations to ask for, if the strategy wants so many."""
        return wanted if (self.target, self.seconds, self.patience) == (None,) * 3 else min(wanted, AT_ONCE)

    def reached(self, costs: Any) -> str | None:
        """Which limit is reached after these costs [n] in the order of asking, in words; `None` is none."""
        costs = np.where(np.isfinite(costs), costs, np.inf)
        if not len(costs):
            return None
        if self.seconds is not None and (spent := time.monotonic() - self.began) >= self.seconds:
            return f"{spent:.0f} of {self.seconds:g} seconds are spent"
        best = int(np.argmin(costs))  # the first of equals
        if self.target is not None and costs[best] <= self.target:
            return f"trial {best} has met the target"
        if self.patience is not None and len(costs) - 1 - best >= self.patience:
            return f"the last {len(costs) - 1 - best} trials were no better than trial {best}"
        return None


def check_limits(where: str, target: Any, seconds: Any, patience: Any, modes: Sequence[str]) -> Limits:
    """The limits of a search that begins now.

    Raises:
        ValueError, TypeError: seconds ≤ 0, patience < 1, what is no number, or a target of several monitors.

    Example:
        >>> limits = check_limits("sweep", 0.9, None, 3, ["max"])
        >>> limits.reached([-0.5, -0.6, -0.4]), limits.reached([-0.5, -0.6, -0.92])
        (None, 'trial 2 has met the target')
        >>> limits.reached([-0.5, -0.4, -0.4, -0.3])
        'the last 3 trials were no better than trial 0'
    """
    for name, value in (("target", target), ("patience", patience)):
        if value is not None and len(modes) > 1:
            raise ValueError(
                f"{where}({name}) is {value!r}, but there are {len(modes)} monitors, and none alone "
                "says what is enough: give seconds, or one monitor with constraints for the others."
            )
    if target is not None:
        target = float(check_number(f"{where}(target)", target)) * (-1 if modes[0] == "max" else 1)
    if seconds is not None:
        seconds = float(check_number(f"{where}(seconds)", seconds, "(0, inf)", "None for no limit"))
        if jax.process_count() > 1:
            raise ValueError(f"{where}(seconds) is {seconds:g}, but several processes have a clock each.")
    if patience is not None:
        check_count(f"{where}(patience)", patience, 1, "None for no limit")
    return Limits(target, seconds, patience, time.monotonic())

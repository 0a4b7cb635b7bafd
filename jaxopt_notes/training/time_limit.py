"""A limit in seconds. A pure function has no clock, so this is a callback of `fit`, on the host."""

import time
from collections.abc import Callable
from typing import Any

from jaxopt_notes.record import check_number


def time_limit(seconds: float, clock: Callable[[], float] = time.monotonic) -> Callable[[Any, Any], bool]:
    """A callback of `fit` that ends the run once some time has passed.

        stop when clock now − clock at the call of time_limit ≥ seconds

    Arguments:
        seconds: > 0, from now on, compilation included.
        clock: gives seconds.

    Returns:
        `callback(state, history) -> whether the time is over`. `fit` asks after each call of `advance`, so
        the run may take as much longer as `epochs_per_call` epochs do. It has not stopped in the sense of
        early stopping: pass its `state` to `fit` and it goes on.

    Raises:
        ValueError: the number is not positive. TypeError: it is not a number.

    Example:
        >>> now = iter([0.0, 4.0, 11.0])
        >>> callback = time_limit(10, clock=lambda: next(now))
        >>> callback(None, {}), callback(None, {})
        (False, True)

    `stop_after(epochs)` is a budget that is reproducible, and its own for every member of a population, as
    seconds are not.

    Elsewhere: EarlyStopping.jl's `TimeLimit`, Lightning's `Timer`.
    """
    check_number("time_limit(seconds)", seconds, "(0, inf]", "inf never stops")
    begin = clock()
    return lambda state, history: clock() - begin >= seconds

"""Not finite: stop a run that has diverged."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.training.early_stopping.score import MODES, as_cost, worst

__all__ = ["StopOnNonfinite", "stop_on_nonfinite"]


class StopOnNonfiniteState(NamedTuple):
    """The best score, and how many in a row were not finite."""

    best: jax.Array
    failures: jax.Array


@record
class StopOnNonfinite:
    """See `stop_on_nonfinite`."""

    times: Number
    monitor: str = static()
    mode: str = static()

    def init(self) -> StopOnNonfiniteState:
        return StopOnNonfiniteState(worst(), jnp.zeros((), jnp.int32))

    def update(
        self, state: StopOnNonfiniteState, score: Number
    ) -> tuple[StopOnNonfiniteState, jax.Array, jax.Array]:
        cost = as_cost(score, self.mode)
        finite = jnp.isfinite(cost)
        improved = finite & (cost < state.best)
        failures = jnp.where(finite, 0, state.failures + 1)
        state = StopOnNonfiniteState(jnp.where(improved, cost, state.best), failures)
        return state, improved, as_hyperparameter(failures) >= as_hyperparameter(self.times)


def stop_on_nonfinite(times: Number = 1, monitor: str = "valid_loss", mode: str = "min") -> StopOnNonfinite:
    """Stop when the score has been infinite or NaN.

        stop when E is not finite after `times` epochs, one after the other

    Arguments:
        times: how many epochs in a row, ≥ 1. It may be traced.
        monitor: the name in the history to watch; "loss" is the first to fail.
        mode: "min" if less is better, "max" if more is, which decides what is kept as the best.

    Returns:
        A `StopOnNonfinite` record.

    Raises:
        ValueError: a number outside its interval, or an unknown mode. TypeError: an argument is not a number.

    Example:
        >>> rule = stop_on_nonfinite()
        >>> rule.update(rule.init(), float("inf"))[2]
        Array(True, dtype=bool)

    As one of several: `any_of(patience(10), stop_on_nonfinite(monitor="loss"))`.

    Elsewhere: Keras's `TerminateOnNaN` looks after each batch; Lightning's `EarlyStopping(check_finite)`
    stops at the first. A sweep trains no member further whose monitor is not finite, with this rule or
    without.
    """
    return StopOnNonfinite(
        check_number("stop_on_nonfinite(times)", times, "[1, inf]", "1 stops at the first"),
        monitor,
        check_choice("stop_on_nonfinite(mode)", mode, MODES),
    )

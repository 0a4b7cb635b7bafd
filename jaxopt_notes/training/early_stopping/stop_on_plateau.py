"""A plateau: stop when the score hardly changes any more."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_count, check_number, record, static
from jaxopt_notes.training.early_stopping.score import MODES, as_cost, worst

__all__ = ["StopOnPlateau", "stop_on_plateau"]


class StopOnPlateauState(NamedTuple):
    """The best score, the last scores [window], the newest at the end, and epochs seen."""

    best: jax.Array
    recent: jax.Array
    epochs: jax.Array


@record
class StopOnPlateau:
    """See `stop_on_plateau`."""

    tolerance: Number
    window: int = static()
    monitor: str = static()
    mode: str = static()

    def init(self) -> StopOnPlateauState:
        return StopOnPlateauState(
            worst(), jnp.zeros(self.window, jnp.result_type(float)), jnp.zeros((), jnp.int32)
        )

    def update(
        self, state: StopOnPlateauState, score: Number
    ) -> tuple[StopOnPlateauState, jax.Array, jax.Array]:
        cost = as_cost(score, self.mode)
        improved = cost < state.best
        recent = jnp.append(state.recent[1:], cost)
        flat = jnp.max(recent) - jnp.min(recent) <= as_hyperparameter(self.tolerance)
        state = StopOnPlateauState(jnp.where(improved, cost, state.best), recent, state.epochs + 1)
        return state, improved, flat & (state.epochs >= self.window)


def stop_on_plateau(
    tolerance: Number = 1e-4, window: int = 5, monitor: str = "valid_loss", mode: str = "min"
) -> StopOnPlateau:
    """Stop when the last scores are all alike.

        stop when max − min of the last `window` scores ≤ tolerance

    Arguments:
        tolerance: ≥ 0, in units of the score. It may be traced.
        window: how many scores, at least 2, static.
        monitor: the name in the history to watch.
        mode: "min" if less is better, "max" if more is, which decides what is kept as the best.

    Returns:
        A `StopOnPlateau` record.

    Raises:
        ValueError: a number outside its interval, or an unknown mode. TypeError: an argument is not a number.

    Example:
        >>> rule = stop_on_plateau(0.1, window=3)
        >>> state = rule.init()
        >>> for score in [2.0, 1.0, 0.95, 0.94]:
        ...     state, improved, stop = rule.update(state, score)
        ...     print(stop)
        False
        False
        False
        True

    `patience` waits for a better score than the best; this rule for any change, also for the worse: on
    the flat beginning of a slow run it would stop, so see to it with `all_of(…, stop_after(epochs))`.

    Elsewhere: Ray Tune's `TrialPlateauStopper` bounds the standard deviation of the last results.
    """
    return StopOnPlateau(
        check_number("stop_on_plateau(tolerance)", tolerance, "[0, inf)"),
        check_count("stop_on_plateau(window)", window, 2),
        monitor,
        check_choice("stop_on_plateau(mode)", mode, MODES),
    )

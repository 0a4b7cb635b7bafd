"""A budget of epochs, of its own for every member of a population."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.training.early_stopping.score import MODES, as_cost, worst

__all__ = ["StopAfter", "stop_after"]


class StopAfterState(NamedTuple):
    """The best score, and epochs seen."""

    best: jax.Array
    epochs: jax.Array


@record
class StopAfter:
    """See `stop_after`."""

    epochs: Number
    monitor: str = static()
    mode: str = static()

    def init(self) -> StopAfterState:
        return StopAfterState(worst(), jnp.zeros((), jnp.int32))

    def update(self, state: StopAfterState, score: Number) -> tuple[StopAfterState, jax.Array, jax.Array]:
        cost = as_cost(score, self.mode)
        improved = cost < state.best
        state = StopAfterState(jnp.where(improved, cost, state.best), state.epochs + 1)
        return state, improved, as_hyperparameter(state.epochs) >= as_hyperparameter(self.epochs)


def stop_after(epochs: Number, monitor: str = "valid_loss", mode: str = "min") -> StopAfter:
    """Stop after some epochs, whatever the score.

        stop when t ≥ epochs

    Arguments:
        epochs: ≥ 1; `inf` never stops. It may be traced, so members of a population can have budgets of
            their own.
        monitor: the name in the history that selects the best parameters.
        mode: "min" if less is better, "max" if more is.

    Returns:
        A `StopAfter` record.

    Raises:
        ValueError: a number outside its interval, or an unknown mode. TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.training.early_stopping import all_of, patience
        >>> rule = all_of(patience(3), stop_after(20))  # patience that has no say before epoch 20
        >>> rule.monitor
        'valid_loss'

    A budget in seconds is the host's: `time_limit`.

    Elsewhere: the grace period is Keras's `EarlyStopping(start_from_epoch)`.
    """
    return StopAfter(
        check_number("stop_after(epochs)", epochs, "[1, inf]", "inf never stops"),
        monitor,
        check_choice("stop_after(mode)", mode, MODES),
    )

"""Prechelt's third criterion, UP: stop when the score has risen some times in a row."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.training.early_stopping.score import MODES, as_cost, worst

__all__ = ["StopUp", "stop_up"]


class StopUpState(NamedTuple):
    """The best score, the score at the end of the last strip, rises in a row, and epochs seen."""

    best: jax.Array
    previous: jax.Array
    rises: jax.Array
    epochs: jax.Array


@record
class StopUp:
    """See `stop_up`."""

    rises: Number
    strip: Number
    monitor: str = static()
    mode: str = static()

    def init(self) -> StopUpState:
        return StopUpState(worst(), worst(), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))

    def update(self, state: StopUpState, score: Number) -> tuple[StopUpState, jax.Array, jax.Array]:
        cost = as_cost(score, self.mode)
        improved = cost < state.best
        epochs = state.epochs + 1
        strip_ends = jnp.mod(as_hyperparameter(epochs), as_hyperparameter(self.strip)) == 0
        rises = jnp.where(cost <= state.previous, 0, state.rises + 1)  # NaN rises
        rises = jnp.where(strip_ends, rises, state.rises)
        state = StopUpState(
            jnp.where(improved, cost, state.best), jnp.where(strip_ends, cost, state.previous), rises, epochs
        )
        return state, improved, as_hyperparameter(rises) >= as_hyperparameter(self.rises)


def stop_up(rises: Number = 5, strip: Number = 1, monitor: str = "valid_loss", mode: str = "min") -> StopUp:
    """Stop when the score has become worse some times in a row.

        E_t > E_{t−k} at `rises` ends of strips of k epochs, one after the other

    Arguments:
        rises: how many times in a row, ≥ 1; `inf` never stops. It may be traced.
        strip: k, the epochs between two comparisons, a whole number ≥ 1; 1 in the notes.
        monitor: the name in the history to watch.
        mode: "min" if less is better, "max" if more is.

    Returns:
        A `StopUp` record.

    Raises:
        ValueError: a number outside its interval, or an unknown mode. TypeError: an argument is not a number.

    Example:
        >>> rule = stop_up(2)
        >>> state = rule.init()
        >>> for score in [3.0, 1.0, 1.5, 2.0]:
        ...     state, improved, stop = rule.update(state, score)
        >>> bool(stop)
        True

    Source: Prechelt 1998, "Early stopping – but when?", the class UP.

    Elsewhere: Keras, Lightning and torch-ignite have `patience` only.
    """
    return StopUp(
        check_number("stop_up(rises)", rises, "[1, inf]", "inf never stops"),
        check_number("stop_up(strip)", strip, "[1, inf)", "1 compares every epoch with the one before"),
        monitor,
        check_choice("stop_up(mode)", mode, MODES),
    )

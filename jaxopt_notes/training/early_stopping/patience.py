"""Patience: stop when the score has not improved for some epochs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.training.early_stopping.score import MODES, as_cost, worst

__all__ = ["Patience", "patience"]


class PatienceState(NamedTuple):
    """The best score, the last one that was better by the margin, and the epochs waited since."""

    best: jax.Array
    reference: jax.Array
    waited: jax.Array


@record
class Patience:
    """See `patience`."""

    patience: Number
    min_delta: Number
    monitor: str = static()
    mode: str = static()

    def init(self) -> PatienceState:
        return PatienceState(worst(), worst(), jnp.zeros((), jnp.int32))

    def update(self, state: PatienceState, score: Number) -> tuple[PatienceState, jax.Array, jax.Array]:
        cost = as_cost(score, self.mode)
        improved = cost < state.best
        by_margin = cost < state.reference - as_hyperparameter(self.min_delta)
        waited = jnp.where(by_margin, 0, state.waited + 1)
        stop = as_hyperparameter(waited) >= as_hyperparameter(self.patience)
        state = PatienceState(
            jnp.where(improved, cost, state.best), jnp.where(by_margin, cost, state.reference), waited
        )
        return state, improved, stop


def patience(
    patience: Number = 10, min_delta: Number = 0.0, monitor: str = "valid_loss", mode: str = "min"
) -> Patience:
    """Stop when the score has not improved for some epochs in a row.

        waited ← 0 and reference ← score   if score < reference − min_delta
        waited ← waited + 1                otherwise, NaN included
        stop when waited ≥ patience

    Arguments:
        patience: epochs to wait, ≥ 1; `inf` never stops. It may be traced.
        min_delta: the margin, ≥ 0, in units of the score. It is absolute, so negative losses work.
        monitor: the name in the history to watch: "valid_loss", "valid_accuracy", "loss", …
        mode: "min" if less is better, "max" if more is.

    Returns:
        A `Patience` record.

    Raises:
        ValueError: a number outside its interval, or an unknown mode. TypeError: an argument is not a number.

    Example:
        >>> rule = patience(2)
        >>> state = rule.init()
        >>> for score in [3.0, 1.0, 1.5, 2.0]:
        ...     state, improved, stop = rule.update(state, score)
        ...     print(improved, stop)
        True False
        True False
        False False
        False True

    Source: Goodfellow, Bengio & Courville 2016, algorithm 7.1; Prechelt 1998 compares it with
    `stop_up`.

    Around a noisy score, `smoothed(patience(…), decay)` waits by the score's moving average. A patience of
    less than 5 epochs seldom outlasts the noise, and more than 30 is mostly waiting.

    Elsewhere: Keras and Lightning save the parameters only when the score improves by the margin;
    here the margin decides when to stop, and the best score is kept whatever its margin. Both count
    from the last score that was better by the margin, as here.
    """
    return Patience(
        check_number("patience(patience)", patience, "[1, inf]", "inf never stops"),
        check_number("patience(min_delta)", min_delta, "[0, inf)"),
        monitor,
        check_choice("patience(mode)", mode, MODES),
    )

"""Early stopping: rules that watch one score per epoch and say when to stop.

A rule is a record with `init() -> state` and `update(state, score) -> (state, improved, stop)`. It
only watches. The `Trainer` acts on what it says: it keeps the parameters of every epoch that
`improved`, so what it restores is always the best score seen, and freezes a member once `stop` is
true. Numbers are leaves and there is no branch on them, so every member of a population has a
patience of its own, and `patience(inf)` is a rule that never stops but still keeps the best.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_number, record, static


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
        cost = _cost(score, self.mode)
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

    Elsewhere: Keras and Lightning save the parameters only when the score improves by the margin;
    here the margin decides when to stop, and the best score is kept whatever its margin. Both count
    from the last score that was better by the margin, as here.
    """
    return Patience(
        check_number("patience(patience)", patience, "[1, inf]", "inf never stops"),
        check_number("patience(min_delta)", min_delta, "[0, inf)"),
        monitor,
        check_choice("patience(mode)", mode, ("min", "max")),
    )


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
        cost = _cost(score, self.mode)
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
        check_choice("stop_up(mode)", mode, ("min", "max")),
    )


def worst(mode: str = "min") -> jax.Array:
    """What any finite score is better than: the largest number, or the least. It is no infinity, so that a
    healthy run has none under `jax_debug_infs`.

    Example:
        >>> bool(worst() > 1e38), bool(worst("max") < -1e38)
        (True, True)
    """
    return _cost(jnp.finfo(jnp.result_type(float)).max, mode)


def _cost(score: Number, mode: str) -> jax.Array:
    return as_hyperparameter(score) if mode == "min" else -as_hyperparameter(score)

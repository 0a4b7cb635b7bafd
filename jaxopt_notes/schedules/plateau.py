"""Plateau: a rate that falls when a metric has stopped improving.

Not a function of the step but a pure state machine: it is given a metric now and then (a validation loss
after each epoch) and says by which factor to multiply the rate. All its numbers are leaves, so every
member of a population has a patience of its own. `reduce_on_plateau` makes a gradient transform of it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_number, record, static

__all__ = ["Plateau", "plateau"]


class PlateauState(NamedTuple):
    """The factor of the rate, the best cost so far, and for how many more values not to look or wait."""

    scale: jax.Array
    best: jax.Array
    waited: jax.Array
    cooldown: jax.Array


@record
class Plateau:
    """See `plateau`."""

    factor: Number
    patience: Number
    rtol: Number
    atol: Number
    cooldown: Number
    min_scale: Number
    mode: str = static()

    def init(self) -> PlateauState:
        waited, cooldown = (jnp.zeros((), jnp.int32) for _ in range(2))  # two buffers: a state may be donated
        return PlateauState(as_hyperparameter(1.0), as_hyperparameter(_worst()), waited, cooldown)

    def update(self, state: PlateauState, value: Number) -> PlateauState:
        factor, patience, rtol, atol, cooldown, low = map(
            as_hyperparameter,
            (self.factor, self.patience, self.rtol, self.atol, self.cooldown, self.min_scale),
        )
        cost = as_hyperparameter(value) if self.mode == "min" else -as_hyperparameter(value)
        size = jnp.where(state.best < _worst(), jnp.abs(state.best), 0)
        improved = cost < state.best - (atol + rtol * size)
        cooling = state.cooldown > 0
        waited = jnp.where(improved | cooling, 0, state.waited + 1)
        fall = as_hyperparameter(waited) >= jnp.maximum(patience, 1)
        pause = jnp.round(cooldown).astype(jnp.int32)
        return PlateauState(
            # min: a scale already below min_scale is not raised to it
            jnp.where(fall, jnp.minimum(state.scale, jnp.maximum(factor * state.scale, low)), state.scale),
            jnp.where(improved, cost, state.best),
            jnp.where(fall, 0, waited),
            jnp.where(fall, pause, jnp.maximum(state.cooldown - 1, 0)),
        )


def _worst() -> float:
    """Above every cost, and finite, so that a state is."""
    return float(jnp.finfo(jnp.result_type(float)).max)


def plateau(
    factor: Number = 0.1,
    patience: Number = 10,
    rtol: Number = 1e-4,
    atol: Number = 0.0,
    cooldown: Number = 0,
    min_scale: Number = 0.0,
    mode: str = "min",
) -> Plateau:
    """Multiply the rate by a factor when a metric has not improved for some values in a row.

        improved ⇔ cost < best − (atol + rtol·|best|)
        scale ← max(factor·scale, min_scale)    after `patience` values in a row that were not

    Arguments:
        factor: what the rate is multiplied by each time, in [0, 1].
        patience: values to wait, ≥ 1; `inf` never falls.
        rtol: the margin of an improvement relative to |best|, ≥ 0.
        atol: the margin in units of the metric, ≥ 0.
        cooldown: after a fall, values for which waiting does not count, ≥ 0.
        min_scale: where the scale ends, in [0, 1].
        mode: "min" if less is better, "max" if more is.

    Returns:
        A `Plateau` record: `init() -> state`, `update(state, value) -> state`; `state.scale` is the
        factor, 1 at first. A value that is NaN has not improved.

    Raises:
        ValueError: a number outside its interval, or an unknown mode. TypeError: an argument is not a number.

    Example:
        >>> rule = plateau(factor=0.5, patience=2)
        >>> state = rule.init()
        >>> for value in (3.0, 3.0, 3.0, 1.0):
        ...     state = rule.update(state, value)
        ...     print(state.scale)
        1.0
        1.0
        0.5
        0.5

    Source: torch's `ReduceLROnPlateau`, whose defaults these are (factor 0.1, patience 10).

    Elsewhere: `optax.contrib.reduce_on_plateau` and torch's `ReduceLROnPlateau` compare with
    (1 − rtol)·best, which for a negative loss is *worse* than the best: a flat or slowly rising negative
    loss counts as improving there for ever. Torch waits for one value more than its patience, and ignores a
    fall of the rate by less than `eps` (1e-8), so that its rates end near 1e-8; the rule here does not know
    the rate that it scales, and ends at `min_scale`: for torch's end take `min_scale=1e-8 / rate`.
    """
    return Plateau(
        check_number("plateau(factor)", factor, "[0, 1]", "the usual values are 0.1 and 0.5"),
        check_number("plateau(patience)", patience, "[1, inf]", "inf never falls"),
        check_number("plateau(rtol)", rtol, "[0, inf)"),
        check_number("plateau(atol)", atol, "[0, inf)"),
        check_number("plateau(cooldown)", cooldown, "[0, inf)"),
        check_number("plateau(min_scale)", min_scale, "[0, 1]"),
        check_choice("plateau(mode)", mode, ("min", "max")),
    )

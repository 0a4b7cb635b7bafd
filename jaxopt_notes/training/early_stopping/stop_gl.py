"""Prechelt's first criterion, GL: stop when the score is a given part worse than the best one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.training.early_stopping.score import MODES, as_cost, relative_to, worst

__all__ = ["StopGL", "stop_gl"]


class StopGLState(NamedTuple):
    """The best score."""

    best: jax.Array


@record
class StopGL:
    """See `stop_gl`."""

    alpha: Number
    monitor: str = static()
    mode: str = static()

    def init(self) -> StopGLState:
        return StopGLState(worst())

    def update(self, state: StopGLState, score: Number) -> tuple[StopGLState, jax.Array, jax.Array]:
        cost = as_cost(score, self.mode)
        improved = cost < state.best
        best = jnp.where(improved, cost, state.best)
        within = generalization_loss(cost, best) <= as_hyperparameter(self.alpha)
        return StopGLState(best), improved, ~within  # NaN is within nothing


def generalization_loss(cost: jax.Array, best: jax.Array) -> jax.Array:
    """By how many percent a cost exceeds the least one so far.

        GL = 100·(E − E_opt) / |E_opt|

    Example:
        >>> generalization_loss(jnp.array(0.75), jnp.array(0.5))
        Array(50., dtype=float32)
    """
    return 100 * relative_to(cost - best, best)


def stop_gl(alpha: Number = 5.0, monitor: str = "valid_loss", mode: str = "min") -> StopGL:
    """Stop when the score is more than α percent worse than the best one.

        GL(t) = 100·(E(t) / E_opt(t) − 1),   E_opt(t) the least E up to t
        stop when GL(t) > α

    Arguments:
        alpha: α in percent, ≥ 0; Prechelt's values are 1, 2, 3 and 5. It may be traced; `inf` never stops,
            unless the score is NaN.
        monitor: the name in the history to watch.
        mode: "min" if less is better, "max" if more is.

    Returns:
        A `StopGL` record.

    Raises:
        ValueError: a number outside its interval, or an unknown mode. TypeError: an argument is not a number.

    Example:
        >>> rule = stop_gl(5)
        >>> state = rule.init()
        >>> for score in [1.0, 0.5, 0.53]:
        ...     state, improved, stop = rule.update(state, score)
        ...     print(improved, stop)
        True False
        True False
        False True

    The loss is divided by the size of the best score, so negative scores, and those of the mode "max", are
    treated alike. A score that is NaN stops.

    Source: Prechelt 1998, "Early stopping – but when?", the class GL.

    Elsewhere: EarlyStopping.jl has `GL`; Keras, Lightning and torch-ignite have `patience` only.
    """
    return StopGL(
        check_number("stop_gl(alpha)", alpha, "[0, inf]", "Prechelt's values are 1, 2, 3 and 5 percent"),
        monitor,
        check_choice("stop_gl(mode)", mode, MODES),
    )

"""A target: stop when the score is good enough."""

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.training.early_stopping.score import MODES, as_cost, worst

__all__ = ["StopAtTarget", "stop_at_target"]


@record
class StopAtTarget:
    """See `stop_at_target`."""

    target: Number
    monitor: str = static()
    mode: str = static()

    def init(self) -> jax.Array:
        return worst()

    def update(self, best: jax.Array, score: Number) -> tuple[jax.Array, jax.Array, jax.Array]:
        cost = as_cost(score, self.mode)
        improved = cost < best
        return jnp.where(improved, cost, best), improved, cost <= as_cost(self.target, self.mode)


def stop_at_target(target: Number, monitor: str = "valid_loss", mode: str = "min") -> StopAtTarget:
    """Stop when the score has reached a target.

        stop when E(t) ≤ target

    Arguments:
        target: in units of the score. It may be traced.
        monitor: the name in the history to watch.
        mode: "min" if less is better, "max" if more is: then stop when E(t) ≥ target.

    Returns:
        A `StopAtTarget` record.

    Raises:
        ValueError: an unknown mode, or a target that is NaN. TypeError: the target is not a number.

    Example:
        >>> rule = stop_at_target(0.9, monitor="valid_accuracy", mode="max")
        >>> state = rule.init()
        >>> for score in [0.7, 0.95]:
        ...     state, improved, stop = rule.update(state, score)
        ...     print(improved, stop)
        True False
        True True

    Elsewhere: Lightning's `EarlyStopping(stopping_threshold)`.
    """
    return StopAtTarget(
        check_number("stop_at_target(target)", target, "[-inf, inf]"),
        monitor,
        check_choice("stop_at_target(mode)", mode, MODES),
    )

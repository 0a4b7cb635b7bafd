"""Prechelt's second criterion, PQ: stop when generalization gets worse faster than training gets better."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.training.early_stopping.score import MODES, as_cost, relative_to, worst
from jaxopt_notes.training.early_stopping.stop_gl import generalization_loss

__all__ = ["StopPQ", "stop_pq"]


class StopPQState(NamedTuple):
    """The best score; of this strip the sum and the least of the training losses; and epochs seen."""

    best: jax.Array
    total: jax.Array
    least: jax.Array
    epochs: jax.Array


@record
class StopPQ:
    """See `stop_pq`."""

    alpha: Number
    strip: Number
    min_progress: Number
    monitor: str = static()
    training: str = static()
    mode: str = static()

    @property
    def watches(self) -> tuple[str, str]:
        return self.monitor, self.training

    def init(self) -> StopPQState:
        return StopPQState(worst(), as_hyperparameter(0.0), worst(), jnp.zeros((), jnp.int32))

    def update(
        self, state: StopPQState, scores: tuple[Number, Number]
    ) -> tuple[StopPQState, jax.Array, jax.Array]:
        cost, training = as_cost(scores[0], self.mode), as_hyperparameter(scores[1])
        improved = cost < state.best
        best = jnp.where(improved, cost, state.best)
        epochs, strip = state.epochs + 1, as_hyperparameter(self.strip)
        total, least = state.total + training, jnp.minimum(state.least, training)
        progress = 1000 * relative_to(total / strip - least, least)
        within = generalization_loss(cost, best) <= as_hyperparameter(self.alpha) * progress
        stalled = progress < as_hyperparameter(self.min_progress)
        ends = jnp.mod(as_hyperparameter(epochs), strip) == 0
        state = StopPQState(best, jnp.where(ends, 0, total), jnp.where(ends, worst(), least), epochs)
        return state, improved, ends & (~within | stalled)  # NaN is within nothing


def stop_pq(
    alpha: Number = 0.75,
    strip: Number = 5,
    min_progress: Number = 0.1,
    monitor: str = "valid_loss",
    training: str = "loss",
    mode: str = "min",
) -> StopPQ:
    """Stop when the loss of generalization exceeds the progress of training by a factor.

        GL(t) = 100·(E(t) / E_opt(t) − 1),   E_opt(t) the least E up to t
        P(t) = 1000·(mean of the last k training losses / the least of them − 1)
        at the ends of strips of k epochs: stop when GL(t) / P(t) > α, or P(t) < min_progress

    Arguments:
        alpha: α ≥ 0; Prechelt's values are 0.5, 0.75, 1, 2 and 3. It may be traced.
        strip: k, a whole number ≥ 1.
        min_progress: in thousandths, ≥ 0: a training loss as flat as that stops too; 0 switches it off.
        monitor: the name in the history of E.
        training: the name in the history of the training loss, of which less is better.
        mode: "min" if less of E is better, "max" if more is.

    Returns:
        A `StopPQ` record; its `update` takes the pair of E and the training loss.

    Raises:
        ValueError: a number outside its interval, or an unknown mode. TypeError: an argument is not a number.

    Example:
        >>> rule = stop_pq(0.5, strip=2)
        >>> state = rule.init()
        >>> for scores in [(1.0, 1.0), (0.8, 0.9), (0.9, 0.9), (1.0, 0.88)]:
        ...     state, improved, stop = rule.update(state, scores)
        >>> bool(stop)  # GL = 25 %, P = 11.4 thousandths
        True

    While training still goes fast, generalization may yet recover: so PQ waits longer than GL then. A score
    that is NaN stops at the end of its strip.

    Source: Prechelt 1998, "Early stopping – but when?", the class PQ, which stopped at P < 0.1 as well.

    Elsewhere: EarlyStopping.jl has `PQ` with α = 0.75; Keras, Lightning and torch-ignite have `patience`.
    """
    return StopPQ(
        check_number("stop_pq(alpha)", alpha, "[0, inf]", "Prechelt's values are 0.5 to 3"),
        check_number("stop_pq(strip)", strip, "[1, inf)", "Prechelt's value is 5"),
        check_number("stop_pq(min_progress)", min_progress, "[0, inf)", "0 switches it off"),
        monitor,
        training,
        check_choice("stop_pq(mode)", mode, MODES),
    )

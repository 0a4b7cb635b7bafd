"""Smoothing: a rule that judges by moving averages, where scores are noisy."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.training.early_stopping.score import as_cost, watched, worst

__all__ = ["Smoothed", "smoothed"]


class SmoothedState(NamedTuple):
    """The inner rule's state, the best score, and the sums of past scores and of their weights."""

    inner: Tree
    best: jax.Array
    totals: Tree
    weights: Any


@record
class Smoothed:
    """See `smoothed`."""

    rule: Any
    decay: Number

    @property
    def monitor(self) -> str:
        return self.rule.monitor

    @property
    def mode(self) -> str:
        return self.rule.mode

    @property
    def watches(self) -> Any:
        return watched(self.rule)

    def init(self) -> SmoothedState:
        zeros = jax.tree.map(lambda _: as_hyperparameter(0.0), self.watches)
        return SmoothedState(self.rule.init(), worst(), zeros, zeros)

    def update(self, state: SmoothedState, scores: Tree) -> tuple[SmoothedState, jax.Array, jax.Array]:
        scores = jax.tree.map(as_hyperparameter, scores)
        cost = as_cost(jax.tree.leaves(scores)[0], self.mode)  # the monitor comes first
        improved = cost < state.best
        decay = as_hyperparameter(self.decay)

        def added(old: jax.Array, new: jax.Array, score: jax.Array) -> jax.Array:
            return jnp.where(jnp.isfinite(score), decay * old + (1 - decay) * new, old)

        totals = jax.tree.map(added, state.totals, scores, scores)
        weights = jax.tree.map(
            lambda old, score: added(old, jnp.ones_like(old), score), state.weights, scores
        )
        # What is not finite passes as it is, and does not stay in the average.
        means = jax.tree.map(
            lambda total, weight, score: jnp.where(
                jnp.isfinite(score), total / jnp.where(weight == 0, 1, weight), score
            ),
            totals, weights, scores,
        )  # fmt: skip
        inner, _, stop = self.rule.update(state.inner, means)
        best = jnp.where(improved, cost, state.best)
        return SmoothedState(inner, best, totals, weights), improved, stop


def smoothed(rule: Any, decay: Number = 0.9) -> Smoothed:
    """A rule that stops by moving averages of the scores.

        a(t) = Σ_{i ≤ t} βᵗ⁻ⁱ·E(i) / Σ_{i ≤ t} βᵗ⁻ⁱ,     the rule sees a(t) in place of E(t)

    Arguments:
        rule: any rule, such as `patience(5)`.
        decay: β in [0, 1); 0 leaves the scores as they are. It may be traced.

    Returns:
        A `Smoothed` record, itself a rule.

    Raises:
        ValueError: β outside its interval. TypeError: β is not a number, or the rule is none.

    Example:
        >>> from jaxopt_notes.training.early_stopping import patience
        >>> rule = smoothed(patience(1), decay=0.5)
        >>> state = rule.init()
        >>> for score in [3.0, 1.0, 1.5, 2.0]:  # averages 3, 1.67, 1.57, 1.8
        ...     state, improved, stop = rule.update(state, score)
        ...     print(improved, stop)
        True False
        True False
        False False
        False True

    The parameters that are kept are still those of the best score itself, not of the best average. A score
    that is not finite reaches the rule, but not the average of later ones.

    Elsewhere: Keras, Lightning and torch-ignite smooth nothing.
    """
    if not (callable(getattr(rule, "init", None)) and callable(getattr(rule, "update", None))):
        raise TypeError(f"smoothed(rule) is {rule!r}, expected a rule such as patience().")
    return Smoothed(rule, check_number("smoothed(decay)", decay, "[0, 1)", "0 switches smoothing off"))

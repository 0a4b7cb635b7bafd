"""Several rules as one: any of them may stop, or all must agree. The first says what is best."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.record import record
from jaxopt_notes.training.early_stopping.score import watched

__all__ = ["AllOf", "AnyOf", "all_of", "any_of"]


@record
class _Combined:
    rules: tuple

    @property
    def monitor(self) -> str:
        return self.rules[0].monitor

    @property
    def mode(self) -> str:
        return self.rules[0].mode

    @property
    def watches(self) -> tuple:
        return tuple(watched(rule) for rule in self.rules)

    def init(self) -> tuple:
        return tuple(rule.init() for rule in self.rules)

    def _update(self, states: tuple, scores: tuple) -> tuple[tuple, jax.Array, jax.Array]:
        rows = [rule.update(*row) for rule, *row in zip(self.rules, states, scores, strict=True)]
        new, improved, stops = zip(*rows, strict=True)
        return new, improved[0], jnp.stack([jnp.asarray(stop) for stop in stops])


@record
class AnyOf(_Combined):
    """See `any_of`."""

    def update(self, states: tuple, scores: tuple) -> tuple[tuple, jax.Array, jax.Array]:
        states, improved, stops = self._update(states, scores)
        return states, improved, jnp.any(stops)


@record
class AllOf(_Combined):
    """See `all_of`."""

    def update(self, states: tuple, scores: tuple) -> tuple[tuple, jax.Array, jax.Array]:
        states, improved, stops = self._update(states, scores)
        return states, improved, jnp.all(stops)


def any_of(*rules: Any) -> AnyOf:
    """Stop when any of some rules says so.

        stop(t) = stop₁(t) or stop₂(t) or …

    Arguments:
        rules: at least one. The first one's monitor and mode select the best parameters; the others may
            watch other scores.

    Returns:
        An `AnyOf` record, itself a rule; its `update` takes a tuple with each rule's score.

    Raises:
        TypeError: no rule, or something that is none.

    Example:
        >>> from jaxopt_notes.training.early_stopping import patience, stop_on_nonfinite
        >>> rule = any_of(patience(10), stop_on_nonfinite(monitor="loss"))
        >>> state, improved, stop = rule.update(rule.init(), (0.5, float("nan")))
        >>> bool(improved), bool(stop)
        (True, True)

    Elsewhere: EarlyStopping.jl's `Disjunction`; in Keras each callback stops on its own, and each restores
    its own best weights.
    """
    return AnyOf(_check("any_of", rules))


def all_of(*rules: Any) -> AllOf:
    """Stop when all of some rules say so after the same epoch.

        stop(t) = stop₁(t) and stop₂(t) and …

    Arguments:
        rules: at least one. The first one's monitor and mode select the best parameters; the others may
            watch other scores.

    Returns:
        An `AllOf` record, itself a rule; its `update` takes a tuple with each rule's score.

    Raises:
        TypeError: no rule, or something that is none.

    Example:
        >>> from jaxopt_notes.training.early_stopping import patience, stop_after
        >>> rule = all_of(patience(1), stop_after(2))
        >>> state, _, stop = rule.update(rule.init(), (float("nan"), 1.0))
        >>> bool(stop), bool(rule.update(state, (float("nan"), 1.0))[2])
        (False, True)
    """
    return AllOf(_check("all_of", rules))


def _check(where: str, rules: tuple) -> tuple:
    for rule in rules or (None,):
        if not (callable(getattr(rule, "init", None)) and callable(getattr(rule, "update", None))):
            raise TypeError(
                f"{where}(rules) has {rule!r}, expected rules such as patience(), one after the other."
            )
    return rules

"""Replaying rules on recorded curves: what each would have saved, and what it would have given up.

A long run, trained once without stopping, says what any rule would have done to it. So criteria are compared
on the same curves, at no further training: those of a sweep's history, [configurations, seeds, epochs], too.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.training.early_stopping.score import as_cost, watched, worst

__all__ = ["Replay", "replay"]


class Replay(NamedTuple):
    """What a rule does to each of some runs.

    Arguments:
        stopped: whether it stops the run at all.
        stop_epoch: how many epochs it trains; all of them where it never stops.
        best_epoch: after how many epochs the parameters were found that it keeps; 0 if none.
        best_score: their score; the worst finite number if there are none.
        given_up: how much better the best score of the whole run is, ≥ 0.

    Example:
        >>> from jaxopt_notes.training.early_stopping import patience
        >>> replay(patience(1), {"valid_loss": jnp.array([3.0, 2.0, 4.0, 1.0])}).given_up
        Array(1., dtype=float32)
    """

    stopped: jax.Array
    stop_epoch: jax.Array
    best_epoch: jax.Array
    best_score: jax.Array
    given_up: jax.Array


def replay(rules: Any, curves: dict[str, Any]) -> Tree:
    """What rules of early stopping would have made of recorded runs.

        stop_epoch = the first t at which the rule stops
        given_up = min over t ≤ stop_epoch of E(t) − min over all t of E(t)

    Arguments:
        rules: a rule, or a dict of rules by name.
        curves: the history, arrays [..., epochs] by name, all of one shape: of one run, of seeds, of a sweep.

    Returns:
        A `Replay` of arrays [...], or a dict of them by the rules' names. `vmap` over a rule's numbers
        gives a row for each.

    Raises:
        ValueError: a rule watches what the curves do not have, or their shapes differ.

    Example:
        >>> from jaxopt_notes.training.early_stopping import patience, stop_gl
        >>> curves = {"valid_loss": jnp.array([[1.0, 0.5, 0.53, 0.4], [1.0, 0.9, 0.8, 0.7]])}
        >>> found = replay({"GL": stop_gl(5), "patience": patience(2)}, curves)
        >>> found["GL"].stop_epoch, found["patience"].stop_epoch
        (Array([3, 4], dtype=int32), Array([4, 4], dtype=int32))
        >>> found["GL"].given_up.round(3)
        Array([0.1, 0. ], dtype=float32)

    Source: Prechelt 1998, "Early stopping – but when?", section 4, which replays 14 criteria so.
    """
    if isinstance(rules, dict):
        return {name: replay(rule, curves) for name, rule in rules.items()}
    if not (callable(getattr(rules, "init", None)) and callable(getattr(rules, "update", None))):
        raise TypeError(f"replay(rules) is {rules!r}, expected a rule, as patience(), or a dict of them.")
    if not isinstance(curves, Mapping):
        kind = type(curves).__name__
        raise TypeError(f'replay(curves) is a {kind}, expected a dict: {{"valid_loss": curve}}.')
    names = jax.tree.leaves(watched(rules))
    missing = [name for name in names if name not in curves]
    if missing:
        raise ValueError(f"replay(curves) has {', '.join(curves)}, but a rule watches {', '.join(missing)}.")
    used = {name: as_hyperparameter(curves[name]) for name in names}
    shapes = {curve.shape for curve in used.values()}
    if len(shapes) > 1 or not all(shape and shape[-1] for shape in shapes):
        raise ValueError(f"replay(curves) has shapes {sorted(shapes)}, expected one: [..., epochs].")
    (shape,) = shapes
    rows = {name: curve.reshape(-1, shape[-1]) for name, curve in used.items()}
    found = _replay(rules, rows)
    return jax.tree.map(lambda x: x.reshape(shape[:-1]), found)


@jax.jit
def _replay(rule: Any, curves: dict[str, jax.Array]) -> Replay:
    return jax.vmap(lambda curves: _of_one(rule, curves))(curves)


def _of_one(rule: Any, curves: dict[str, jax.Array]) -> Replay:
    def step(state: Tree, scores: Tree) -> tuple:
        state, improved, stop = rule.update(state, scores)
        return state, (improved, stop)

    scores = jax.tree.map(curves.__getitem__, watched(rule))
    seen: tuple[jax.Array, jax.Array] = lax.scan(step, rule.init(), scores)[1]
    improved, stops = seen
    cost = as_cost(curves[rule.monitor], rule.mode)
    epochs = jnp.arange(1, len(cost) + 1, dtype=jnp.int32)
    stopped = jnp.any(stops)
    stop_epoch = jnp.where(stopped, epochs[jnp.argmax(stops)], epochs[-1])
    best_epoch = jnp.max(jnp.where(improved & (epochs <= stop_epoch), epochs, 0))
    best = jnp.where(best_epoch > 0, cost[best_epoch - 1], worst())
    least = jnp.min(jnp.where(jnp.isnan(cost), worst(), cost))
    return Replay(stopped, stop_epoch, best_epoch, as_cost(best, rule.mode), best - least)

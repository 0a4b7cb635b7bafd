"""Ensemble selection: the members of a library that do best together, found greedily.

A sweep trains a library of models anyway. Its best model is one of them; an ensemble of a few, of which one
may count several times, is better, and is chosen in a moment: all it takes are the members' outputs on the
validation set.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import compute_dtype
from jaxopt_notes.losses.reduction import weighted_mean
from jaxopt_notes.numerics import log_softmax
from jaxopt_notes.record import check_choice, check_count

__all__ = ["Selection", "greedy_selection"]


class Selection(NamedTuple):
    """What was selected.

    Arguments:
        weights: [n], the share of each member; they sum to 1. For `average` and `vote`.
        order: [steps], the member that each step added.
        losses: [steps], that of the ensemble after each step.

    Example:
        >>> Selection(jnp.array([0.5, 0.0, 0.5]), jnp.array([2, 0]), jnp.array([0.3, 0.2])).order.tolist()
        [2, 0]
    """

    weights: jax.Array
    order: jax.Array
    losses: jax.Array


def greedy_selection(
    outputs: ArrayLike,
    targets: ArrayLike,
    loss: Callable[..., Any],
    steps: int = 50,
    *,
    of: str = "probabilities",
    initial: int = 0,
    samples: ArrayLike | None = None,
) -> Selection:
    """Greedy ensemble selection, with replacement.

        S ← S ∪ {argmin_m L(average of S ∪ {m})}          steps times, then back to where L was least

    Arguments:
        outputs: [n, B, …] of all members on the validation set: logits or predictions. A member whose loss
            is not finite is never chosen.
        targets: [B, …].
        loss: (outputs, targets) → values per example, such as `softmax_cross_entropy`, or minus a metric.
        steps: how many are added, each time from all of them. Static.
        of: what is averaged, "probabilities" of logits or "outputs", as in `average`. Static.
        initial: how many of the best single members to begin with, which keeps a large library from
            overfitting the validation set. Static; they count as the first steps.
        samples: [B], weights of the examples; `None` weights all alike.

    Returns:
        `Selection(weights, order, losses)`; ties go to the first member.

    Raises:
        ValueError: fewer steps than initial members, or more of these than members.

    Example:
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> outputs = jnp.array([[5.0, 5.0], [0.0, 1.5], [2.0, 0.5]])
        >>> chosen = greedy_selection(outputs, jnp.array([1.0, 1.0]), mean_squared_error, 4, of="outputs")
        >>> chosen.weights, chosen.losses[:2]
        (Array([0. , 0.5, 0.5], dtype=float32), Array([0.625, 0.   ], dtype=float32))

    Source: Caruana, Niculescu-Mizil, Crew & Ksikes 2004, section 2.

    Elsewhere: auto-sklearn builds its ensembles so, on one core.
    """
    check_choice("greedy_selection(of)", of, ("outputs", "probabilities"))
    steps = check_count("greedy_selection(steps)", steps, 1)
    o = jnp.asarray(outputs)
    n = len(o)
    initial = check_count("greedy_selection(initial)", initial)
    if initial > min(steps, n):
        raise ValueError(
            f"greedy_selection(initial) is {initial}, expected at most the {steps} steps and the {n} members."
        )
    o = o.astype(compute_dtype(o))
    said = o if of == "outputs" else jnp.exp(log_softmax(o))
    usable = jnp.all(jnp.isfinite(said).reshape(n, -1), axis=1)
    said = jnp.where(jnp.isfinite(said), said, 0)

    def loss_of(mean: jax.Array) -> jax.Array:
        mean = mean if of == "outputs" else jnp.log(mean)
        return weighted_mean(loss(mean, targets), samples)

    def with_each(total: jax.Array, count: jax.Array) -> jax.Array:
        # One candidate after another: all at once would be a copy of the library.
        found = lax.map(lambda own: loss_of((total + own) / (count + 1)), said)
        return jnp.where(usable & jnp.isfinite(found), found, jnp.inf)

    alone = with_each(jnp.zeros_like(said[0]), jnp.zeros((), said.dtype))
    ranked = jnp.argsort(alone)

    def step(total: jax.Array, i: jax.Array) -> tuple:
        found = with_each(total, i.astype(total.dtype))
        best = jnp.argmin(found)
        early = ranked[jnp.minimum(i, n - 1)]
        best = jnp.where((i < initial) & jnp.isfinite(alone[early]), early, best)
        return total + said[best], (best, found[best])

    order: jax.Array
    losses: jax.Array
    _, (order, losses) = lax.scan(step, jnp.zeros_like(said[0]), jnp.arange(steps))
    size = jnp.argmin(jnp.where(jnp.arange(steps) + 1 >= initial, losses, jnp.inf)) + 1
    counted = (jnp.arange(steps) < size).astype(said.dtype)
    weights = jnp.zeros(n, said.dtype).at[order].add(counted) / size.astype(said.dtype)
    return Selection(weights, order, losses)

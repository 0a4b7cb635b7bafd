"""Votes: each member names a class, the ensemble the one with the most votes.

Averages need outputs on one scale; votes need only a decision of each member.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import is_float
from jaxopt_notes.record import check_choice, check_count

__all__ = ["count_votes", "vote"]


def count_votes(
    outputs: ArrayLike, weights: ArrayLike | None = None, *, classes: int | None = None
) -> jax.Array:
    """How many votes, or how much weight, each class has.

        v_c = Σ_m w_m·[member m says c]

    Arguments:
        outputs: [M, B, C], of which each member's largest is its vote, or [M, B], integer labels. A label
            outside [0, C) is an abstention, and so are outputs that hold a NaN.
        weights: [M], numbers ≥ 0, or [M, B]; `None` for 1.
        classes: C, where labels are given. Static.

    Returns:
        [B, C], float32 (float64 under x64).

    Raises:
        ValueError: labels without `classes`, or weights of neither shape.

    Example:
        >>> count_votes(jnp.array([[0, 1], [0, 2], [1, 2]]), classes=3)
        Array([[2., 1., 0.],
               [0., 1., 2.]], dtype=float32)

    Source: Breiman 1996, section 1.
    """
    outputs = jnp.asarray(outputs)
    if is_float(outputs):
        labels, count = jnp.argmax(outputs, axis=-1), outputs.shape[-1]
        labels = jnp.where(jnp.any(jnp.isnan(outputs), axis=-1), -1, labels)
    elif classes is None:
        raise ValueError("count_votes(classes) is None, expected their number, because labels are given.")
    else:
        labels, count = outputs, check_count("count_votes(classes)", classes, 1)
    votes = jax.nn.one_hot(labels, count, dtype=jnp.result_type(float))
    if weights is None:
        return jnp.sum(votes, axis=0)
    w = jnp.asarray(weights).astype(votes.dtype)
    if w.shape not in (labels.shape[:1], labels.shape):
        raise ValueError(
            f"count_votes(weights) has shape {w.shape}, expected {labels.shape[:1]}, one for each member, or "
            f"{labels.shape}."
        )
    return jnp.sum(votes * w.reshape(w.shape + (1,) * (votes.ndim - w.ndim)), axis=0)


def vote(
    outputs: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    rule: str = "plurality",
    classes: int | None = None,
) -> jax.Array:
    """The class that the members elect.

        plurality: argmax_c v_c          majority: c with v_c > ½·Σ v, if there is one, else −1

    Arguments:
        outputs: [M, B, C] or integer labels [M, B], as for `count_votes`.
        weights: [M], for a weighted vote; a member's accuracy, or the log odds of it. `None` for 1.
        rule: "plurality", of equal counts the first class; or "majority", more than half of all votes, else
            −1, no class. Static.
        classes: where labels are given. Static.

    Returns:
        Labels [B].

    Raises:
        ValueError: an unknown rule, and as for `count_votes`.

    Example:
        >>> nine = jnp.array([7, 4, 7, 4, 7, 7, 9, 7, 7])[:, None]
        >>> vote(nine, classes=10), vote(nine[:5], rule="majority", classes=10)
        (Array([7], dtype=int32), Array([7], dtype=int32))

    Source: the study notes on aggregators; for weights, Kuncheva 2014, section 4.3.

    Elsewhere: scikit-learn's `VotingClassifier(voting="hard")` is the plurality.
    """
    check_choice("vote(rule)", rule, ("plurality", "majority"))
    counts = count_votes(outputs, weights, classes=classes)
    first = jnp.argmax(counts, axis=-1)
    if rule == "plurality":
        return first
    if weights is None:
        total = jnp.asarray(len(jnp.asarray(outputs)), counts.dtype)  # abstentions count as votes cast
    else:
        total = jnp.sum(jnp.asarray(weights).astype(counts.dtype), axis=0)
    return jnp.where(jnp.max(counts, axis=-1) > total / 2, first, -1)

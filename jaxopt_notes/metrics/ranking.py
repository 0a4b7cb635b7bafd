"""Samples in the order of their scores, the ground of metrics that know no threshold.

Samples with equal scores cannot be told apart by any threshold: they are a group, and what is counted up to a
sample is counted up to the beginning, or up to the end, of its group.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.metrics.classes import Samples, read_samples
from jaxopt_notes.numerics import log_softmax


class Ranked(NamedTuple):
    """By rising score: the weights of positive and negative samples, and each one's group, all [n]."""

    positive: jax.Array
    negative: jax.Array
    first: jax.Array
    last: jax.Array

    def before(self, weights: jax.Array) -> jax.Array:
        """The sum of weights before each sample's group."""
        return (jnp.cumsum(weights) - weights)[self.first]

    def up_to(self, weights: jax.Array) -> jax.Array:
        """The sum of weights up to and with each sample's group."""
        return jnp.cumsum(weights)[self.last]


def rank(scores: jax.Array, positive: jax.Array, negative: jax.Array) -> Ranked:
    """Samples with their groups, by rising score.

    Example:
        >>> rank(jnp.array([2.0, 1.0, 2.0]), jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 1.0, 1.0])).first
        Array([0, 1, 1], dtype=int32)
    """
    scores, positive, negative = lax.sort((scores, positive, negative), num_keys=1)
    place = jnp.arange(len(scores))
    differs = scores[1:] != scores[:-1]
    edge = jnp.ones(min(len(scores), 1), bool)
    begins, ends = jnp.concatenate([edge, differs]), jnp.concatenate([differs, edge])
    first = lax.cummax(jnp.where(begins, place, 0))
    last = lax.cummin(jnp.where(ends, place, len(scores) - 1), reverse=True)
    return Ranked(positive, negative, first, last)


def one_against_rest(
    where: str,
    judge: Callable[[Ranked], jax.Array],
    outputs: Any,
    targets: Any,
    weights: Any,
    from_logits: Any,
    both: bool,
) -> jax.Array:
    """The mean of `judge` over the classes that have samples (and, with `both`, are not all samples).

    Of two classes only class 1 is judged. NaN where there is no class to judge, or an output is NaN.
    """
    s = read_samples(where, outputs, targets, weights)
    scores, classes = _scores(s, from_logits)

    def of_class(scores: jax.Array, label: jax.Array) -> tuple[jax.Array, jax.Array]:
        is_positive = s.labels == label
        ranked = rank(scores, jnp.where(is_positive, s.weights, 0), jnp.where(is_positive, 0, s.weights))
        judged = jnp.any(ranked.positive > 0) & (jnp.any(ranked.negative > 0) | (not both))
        return judge(ranked), judged

    values, judged = jax.vmap(of_class, in_axes=(1, 0))(scores, classes)
    judged &= ~jnp.any(jnp.isnan(scores))
    count = jnp.sum(judged.astype(values.dtype))
    total = jnp.sum(jnp.where(judged, values, 0))
    return jnp.where(count > 0, total / jnp.where(count > 0, count, 1), jnp.nan)


def _scores(s: Samples, from_logits: Any) -> tuple[jax.Array, jax.Array]:
    """[n, K] in the order of the probabilities of K classes, and which classes they are."""
    o, kind = s.outputs, s.labels.dtype
    if o.shape[1] == 1:
        return o, jnp.ones(1, kind)
    if o.shape[1] == 2:  # a difference, where probabilities of 1 could not be told apart
        return jnp.where(from_logits, o[:, 1:] - o[:, :1], o[:, 1:]), jnp.ones(1, kind)
    return jnp.where(from_logits, log_softmax(o), o), jnp.arange(o.shape[1], dtype=kind)

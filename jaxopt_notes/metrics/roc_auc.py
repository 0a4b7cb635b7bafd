"""ROC AUC: how often a positive sample has a larger score than a negative one."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.ranking import Ranked, one_against_rest
from jaxopt_notes.numerics import safe_divide

__all__ = ["roc_auc"]


def roc_auc(
    outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, *, from_logits: Any = True
) -> jax.Array:
    """The area under the curve of true positives against false positives.

        AUC = Σ over positive i, negative j of wᵢwⱼ·([oᵢ > oⱼ] + ½[oᵢ = oⱼ]) / Σ wᵢ·Σ wⱼ

    Arguments:
        outputs: logits or probabilities, [B, …, C], or one score per sample, [B] or [B, 1], of class 1.
        targets: integer labels [B, …], or one-hot or soft targets [B, …, C]; for single scores 0 and 1.
        weights: [B] or [B, …], numbers ≥ 0; `None` weights all alike.
        from_logits: whether outputs [B, …, C] are logits, so that samples are ordered by softmax.

    Returns:
        A scalar in float32 (float64 for outputs of float64): for two classes that of class 1, for more the
        mean over classes of each against the rest, of those that have both. Where none has, NaN. An output
        that is NaN makes it NaN.

    Raises:
        ValueError: targets or weights of a wrong shape. TypeError: labels that are not integers.

    Example:
        >>> roc_auc(jnp.array([0.1, 0.4, 0.4, 0.8]), jnp.array([0, 0, 1, 1]))
        Array(0.875, dtype=float32)

    Source: Hanley & McNeil 1982: the area is the Mann-Whitney statistic.

    Elsewhere: `sklearn.metrics.roc_auc_score(multi_class="ovr")`, which refuses absent classes.
    """
    return one_against_rest("roc_auc", _auc, outputs, targets, weights, from_logits, both=True)


def _auc(ranked: Ranked) -> jax.Array:
    below, with_ties = ranked.before(ranked.negative), ranked.up_to(ranked.negative)
    wins = jnp.sum(ranked.positive * (0.5 * (below + with_ties)))
    return safe_divide(safe_divide(wins, jnp.sum(ranked.positive)), jnp.sum(ranked.negative))

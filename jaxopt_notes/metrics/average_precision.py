"""Average precision: the area under the curve of precision against recall, in steps."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.ranking import Ranked, one_against_rest
from jaxopt_notes.numerics import safe_divide

__all__ = ["average_precision"]


def average_precision(
    outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, *, from_logits: Any = True
) -> jax.Array:
    """The mean of the precision at the thresholds of the positive samples.

        AP = Σₜ (Rₜ − Rₜ₋₁)·Pₜ = Σ over positive i of wᵢ·P(oᵢ) / Σ wᵢ,     P(t) the precision of {o ≥ t}

    Arguments:
        outputs, targets, weights, from_logits: see `roc_auc`.

    Returns:
        A scalar in float32 (float64 for outputs of float64): for two classes that of class 1, for more the
        mean over the classes that have samples, of each against the rest. Where none has, NaN. An output
        that is NaN makes it NaN.

    Raises:
        ValueError: targets or weights of a wrong shape. TypeError: labels that are not integers.

    Example:
        >>> average_precision(jnp.array([0.9, 0.6, 0.3]), jnp.array([1, 1, 0]))
        Array(1., dtype=float32)

    Elsewhere: `sklearn.metrics.average_precision_score`, which is 0 without a positive sample.
    """
    return one_against_rest(
        "average_precision", _precision, outputs, targets, weights, from_logits, both=False
    )


def _precision(ranked: Ranked) -> jax.Array:
    falling = Ranked(*(x[::-1] for x in ranked[:2]), *(len(x) - 1 - x[::-1] for x in ranked[:1:-1]))
    true, false = falling.up_to(falling.positive), falling.up_to(falling.negative)
    precision = safe_divide(true, true + false)
    return safe_divide(jnp.sum(falling.positive * precision), jnp.sum(falling.positive))

"""The Brier score: the mean squared error of probabilities."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.classes import read_samples

__all__ = ["brier_score"]


def brier_score(
    outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, *, from_logits: Any = True
) -> jax.Array:
    """The mean squared distance of probabilities from the true class.

        BS = Σᵢ wᵢ·Σ_c (pᵢ_c − [c = yᵢ])² / Σᵢ wᵢ,     for two classes (pᵢ₁ − yᵢ)², which is half of that

    Arguments:
        outputs, targets, weights, from_logits: see `log_loss`.

    Returns:
        A scalar in float32 (float64 for outputs of float64); 0 is best. Labels outside [0, C) count nothing.

    Raises:
        ValueError: targets or weights of a wrong shape. TypeError: labels that are not integers.

    Example:
        >>> brier_score(jnp.array([0.75, 0.5]), jnp.array([1, 0]), from_logits=False)
        Array(0.15625, dtype=float32)

    Source: Brier 1950.

    Elsewhere: `sklearn.metrics.brier_score_loss`, which halves that of two classes too.
    """
    s = read_samples("brier_score", outputs, targets, weights)
    p = s.probabilities(from_logits)
    square = jnp.sum(jnp.square(p - jax.nn.one_hot(s.labels, s.classes, dtype=p.dtype)), axis=1)
    return s.mean(square / 2 if s.classes == 2 else square)

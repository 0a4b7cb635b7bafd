"""Log loss: how surprising the true classes are to a model that gives probabilities."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.metrics.classes import read_samples

__all__ = ["log_loss"]


def log_loss(
    outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, *, from_logits: Any = True
) -> jax.Array:
    """The mean negative logarithm of the probability of the true class.

        L = −Σᵢ wᵢ·log p(yᵢ | xᵢ) / Σᵢ wᵢ

    Arguments:
        outputs: logits or probabilities, [B, …, C], or one per sample, [B] or [B, 1], of class 1.
        targets: integer labels [B, …], or one-hot or soft targets [B, …, C], of which the largest counts
            (a loss uses soft targets as they are); for single outputs 0 and 1.
        weights: [B] or [B, …], numbers ≥ 0; `None` weights all alike.
        from_logits: whether outputs are logits. Probabilities are clipped to [ε, 1 − ε] by the ε of their
            dtype; logits need no clipping.

    Returns:
        A scalar in float32 (float64 for outputs of float64), in nats. Labels outside [0, C) count nothing.

    Raises:
        ValueError: targets or weights of a wrong shape. TypeError: labels that are not integers.

    Example:
        >>> log_loss(jnp.array([[0.25, 0.75], [0.5, 0.5]]), jnp.array([1, 0]), from_logits=False).round(3)
        Array(0.49, dtype=float32)

    Elsewhere: `sklearn.metrics.log_loss`, of probabilities. As a loss to train by, with one value per
    example: `softmax_cross_entropy`.
    """
    s = read_samples("log_loss", outputs, targets, weights)
    log_p = s.log_probabilities(from_logits)
    return s.mean(-jnp.take_along_axis(log_p, s.labels[:, None], axis=1)[:, 0])

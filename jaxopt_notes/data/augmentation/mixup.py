"""Mixup: training on weighted means of pairs of examples, in their inputs and in their targets.

It asks of the model to be linear between the examples. The targets become soft, and a loss of them
is the same weighted mean of the losses of the two.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data.augmentation.augmentation import Augmentation, in_floats
from jaxopt_notes.data.augmentation.mixing import mix, partners, share_of_beta, soft_targets
from jaxopt_notes.layers.batch_mask import OverBatch
from jaxopt_notes.record import Number, check_count, check_number, record, static

__all__ = ["MixUp", "mixup"]


@record
class MixUp(OverBatch, Augmentation):
    """See `mixup`."""

    alpha: Number
    mask: Any
    classes: int | None = static()

    def __call__(self, key: jax.Array, x: ArrayLike, y: ArrayLike | None = None) -> tuple[jax.Array, Any]:
        x = jnp.asarray(x)
        of_partner, of_share = jax.random.split(key)
        other = partners(of_partner, len(x), self.mask)
        share = share_of_beta(of_share, self.alpha, len(x))
        x = in_floats(lambda x: mix(x, x[other], share), x)
        if y is None:
            return x, y
        y = soft_targets("mixup", y, self.classes)
        return x, in_floats(lambda y: mix(y, y[other], share), y)


def mixup(alpha: Number = 0.2, classes: int | None = None) -> MixUp:
    """Each example is mixed with another one of the batch, targets included.

        x ← λxᵢ + (1 − λ)xⱼ,   y ← λyᵢ + (1 − λ)yⱼ,   λ ~ Beta(α, α)

    Arguments:
        alpha: α ≥ 0; 0 mixes nothing, 1 draws λ uniformly, 0.1 to 0.4 are usual.
        classes: C, how many there are, static: labels become rows of C probabilities. Targets that are
            no whole numbers (one-hot rows, those of regression) are mixed as they are.

    Returns:
        A `MixUp` record for inputs [B, …] of any dtype; every example has a λ and a partner of its own.

    Raises:
        ValueError: a negative α; when called, labels without `classes`.

    Example:
        >>> x, y = jnp.eye(4), jnp.arange(4)
        >>> mixed, targets = mixup(1.0, classes=4)(jax.random.key(0), x, y)
        >>> bool((abs(mixed - targets) < 1e-6).all()), targets.sum(axis=1)
        (True, Array([1., 1., 1., 1.], dtype=float32))

    Source: Zhang et al. 2018, section 2.

    Elsewhere: the authors' code draws one λ for a batch, and partners by a permutation, in which some
    examples may meet themselves.
    """
    return MixUp(
        check_number("mixup(alpha)", alpha, "[0, inf)", "0 switches it off, 0.2 is usual"),
        None,
        None if classes is None else check_count("mixup(classes)", classes, 2),
    )

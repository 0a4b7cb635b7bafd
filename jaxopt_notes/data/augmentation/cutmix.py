"""CutMix: a rectangle of another image in place of each image's own, and targets mixed by area."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data.augmentation.augmentation import (
    Augmentation,
    between,
    check_rate,
    chosen,
    images,
    in_floats,
)
from jaxopt_notes.data.augmentation.boxes import Box, inside
from jaxopt_notes.data.augmentation.mixing import mix, partners, share_of_beta, soft_targets
from jaxopt_notes.layers.batch_mask import OverBatch
from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.record import Number, check_count, check_number, record, static

__all__ = ["CutMix", "cutmix"]


@record
class CutMix(OverBatch, Augmentation):
    """See `cutmix`."""

    alpha: Number
    rate: Number
    mask: Any
    classes: int | None = static()

    def __call__(self, key: jax.Array, x: ArrayLike, y: ArrayLike | None = None) -> tuple[jax.Array, Any]:
        x = images("cutmix", x)
        of_partner, of_share, of_rate, of_row, of_column = jax.random.split(key, 5)
        other = partners(of_partner, len(x), self.mask)
        share = share_of_beta(of_share, self.alpha, len(x))
        share = jnp.where(chosen(of_rate, self.rate, share.shape), share, 1)
        side = safe_sqrt(1 - share)
        sides = []
        for of_middle, n in ((of_row, x.shape[1]), (of_column, x.shape[2])):
            middle = jnp.floor(between(of_middle, (0.0, 1.0), share.shape) * n)
            half = jnp.floor(side * n / 2)
            first, last = jnp.maximum(middle - half, 0), jnp.minimum(middle + half, n)
            sides += [first, last - first]
        box = Box(sides[0], sides[2], sides[1], sides[3])
        x = jnp.where(inside(box, x.shape), x[other], x)
        if y is None:
            return x, y
        own = 1 - box.height * box.width / (x.shape[1] * x.shape[2])
        y = soft_targets("cutmix", y, self.classes)
        return x, in_floats(lambda y: mix(y, y[other], own), y)


def cutmix(alpha: Number = 1.0, rate: Number = 1.0, classes: int | None = None) -> CutMix:
    """A rectangle of another image of the batch is pasted into each image; targets are mixed by area.

        x ← M⊙xᵢ + (1 − M)⊙xⱼ,   y ← λyᵢ + (1 − λ)yⱼ,   λ: the share of its own pixels

    Arguments:
        alpha: α ≥ 0: the rectangle has sides of √(1 − λ') of the image's, λ' ~ Beta(α, α), its middle at any
            pixel, and what lies outside is cut off. 0 pastes nothing.
        rate: the probability that an image is changed, in [0, 1].
        classes: C, how many there are, static; see `mixup`.

    Returns:
        A `CutMix` record for images [B, H, W, C] of any dtype; every image has a rectangle and a partner of
        its own.

    Raises:
        ValueError: a number outside its interval; when called, labels without `classes`.

    Example:
        >>> x, y = jnp.stack([jnp.zeros((8, 8, 1)), jnp.ones((8, 8, 1))]), jnp.array([0, 1])
        >>> pasted, targets = cutmix(classes=2)(jax.random.key(0), x, y)
        >>> bool((abs(pasted.mean(axis=(1, 2, 3)) - targets[:, 1]) < 1e-6).all())
        True

    Source: Yun et al. 2019, section 3.1 and algorithm A1: α = 1, rate 1 on ImageNet and 0.5 on CIFAR.

    Elsewhere: the authors' code draws one rectangle for a batch.
    """
    return CutMix(
        check_number("cutmix(alpha)", alpha, "[0, inf)", "0 switches it off, 1 is usual"),
        check_rate("cutmix(rate)", rate),
        None,
        None if classes is None else check_count("cutmix(classes)", classes, 2),
    )

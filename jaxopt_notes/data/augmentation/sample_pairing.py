"""Sample pairing: another example of the batch is laid over each, and the target stays.

The inventor trains some epochs with it and some without, and ends without. The rate is a leaf, so that costs
no compilation: train on with `replace(trainer, augmentation=replace(trainer.augmentation, rate=0.0))`.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.data.augmentation.augmentation import Augmentation, check_rate, chosen, in_floats
from jaxopt_notes.data.augmentation.mixing import mix, partners
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.layers.batch_mask import OverBatch
from jaxopt_notes.record import Number, record

__all__ = ["SamplePairing", "sample_pairing"]


@record
class SamplePairing(OverBatch, Augmentation):
    """See `sample_pairing`."""

    share: Number
    rate: Number
    mask: Any

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        of_partner, of_rate = jax.random.split(key)
        other = partners(of_partner, len(x), self.mask)
        share = as_hyperparameter(self.share)
        own = jnp.where(chosen(of_rate, self.rate, x.shape[:1]), 1 - share, 1)
        return in_floats(lambda x: mix(x, x[other], own), x)


def sample_pairing(share: Number = 0.5, rate: Number = 1.0) -> SamplePairing:
    """Each input is averaged with another one of the batch; its target stays.

        x ← (1 − s)·xᵢ + s·xⱼ,   y ← yᵢ

    Arguments:
        share: s, what the other one counts, in [0, 1].
        rate: the probability that an example is changed, in [0, 1].

    Returns:
        A `SamplePairing` record for inputs [B, …] of any dtype.

    Raises:
        ValueError: a number outside its interval.

    Example:
        >>> x, y = sample_pairing()(jax.random.key(0), jnp.array([[0.0], [2.0]]), jnp.array([0, 1]))
        >>> x.tolist(), y.tolist()
        ([[1.0], [1.0]], [0, 1])

    Source: Inoue 2018, section 3: s = ½; eight epochs with it, two without, and again.
    """
    return SamplePairing(
        check_rate("sample_pairing(share)", share), check_rate("sample_pairing(rate)", rate), None
    )

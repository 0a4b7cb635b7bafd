"""Fixup: residual networks without normalization, whose updates do not grow with depth.

Each of L residual branches adds to the output; if all moved it by the rate η, it would move by L·η. So the
layers of a branch begin smaller by L^(−1/(2m − 2)), m layers in a branch, the last of them and the classifier
as zeros: at first the network is its shortcuts. The paper adds a scalar bias before and a scalar factor
after; with normalization, a γ of zeros in the last one does the same (`batch_norm(scale_init=zeros())`).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.initializers.he import he_normal
from jaxopt_notes.initializers.initializer import Initializer, check_initializer
from jaxopt_notes.record import check_count, record, static

__all__ = ["Fixup", "fixup"]


@record
class Fixup:
    """See `fixup`."""

    branches: int = static()
    layers: int = static()
    init: Initializer

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        kind = np.promote_types(dtype, np.float32)
        factor = self.branches ** (-1 / (2 * self.layers - 2))
        return (factor * self.init(key, shape, kind)).astype(dtype)


def fixup(branches: int, layers: int = 2, init: Initializer = he_normal()) -> Fixup:
    """The initializer of all layers of a residual branch but its last, which gets `zeros()`.

        W = L^(−1/(2m − 2))·init

    Arguments:
        branches: L, of the whole network.
        layers: m, of one branch, ≥ 2.
        init: what it would be without branches.

    Returns:
        A `Fixup` record, called `(key, shape, dtype=float32)`.

    Raises:
        ValueError, TypeError: counts that are not whole numbers, or too small.

    Example:
        >>> from jaxopt_notes.initializers.constant import ones
        >>> fixup(16, 3, ones())(None, (1,))
        Array([0.5], dtype=float32)

    Source: Zhang, Dauphin & Ma 2019, section 4 ("Fixup initialization", rules 1 and 2).

    Elsewhere: none of the libraries has it.
    """
    remedy = "with one layer in a branch, that layer is the last and begins with zeros()"
    return Fixup(
        check_count("fixup(branches)", branches, 1),
        check_count("fixup(layers)", layers, 2, remedy),
        check_initializer("fixup(init)", init),
    )

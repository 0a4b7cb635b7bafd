"""Squeeze-and-excitation: channels weigh each other by what the whole image holds of them.

The mean over all pixels (squeeze) goes through a small network, whose outputs between 0 and 1 multiply the
channels (excite). It stands at the end of a residual branch.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.activations import relu, sigmoid
from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.layers.children import Running, Starting
from jaxopt_notes.layers.dense import Dense, dense
from jaxopt_notes.layers.layer import Shaped, floating, shaped_like
from jaxopt_notes.record import check_count, record, static

__all__ = ["SqueezeExcite", "squeeze_excite"]


@record
class SqueezeExcite:
    """See `squeeze_excite`."""

    ratio: int = static()

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        child, pooled = Starting(key, {}), shaped_like(x, (x.shape[0], x.shape[-1]))
        child("expand", self._expand(x), child.through("reduce", self._reduce(x), pooled))
        return child.params, child.state

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        child = Running(params, state, key, train, {})
        pooled = jnp.mean(x.astype(compute_dtype(x)), tuple(range(1, x.ndim - 1))).astype(x.dtype)
        hidden = relu(child("reduce", self._reduce(x), pooled))
        weights = sigmoid(child("expand", self._expand(x), hidden))
        return x * weights.reshape(x.shape[0], *(1,) * (x.ndim - 2), -1), state

    def _reduce(self, x: Shaped) -> Dense:
        return dense(max(x.shape[-1] // self.ratio, 1))

    def _expand(self, x: Shaped) -> Dense:
        return dense(x.shape[-1])


def squeeze_excite(ratio: int = 16) -> SqueezeExcite:
    """Channels weighed by what the whole image holds.

        s = mean of x over pixels      y = x ⊙ σ(relu(s·W₁ + b₁)·W₂ + b₂)

    Arguments:
        ratio: of the channels C to the width of the layer between, ⌊C/ratio⌋ and at least 1.

    Returns:
        A `SqueezeExcite` record, for x [B, …, C]; params {"reduce": W₁, b₁, "expand": W₂, b₂}.

    Raises:
        TypeError, ValueError: `ratio` is not a whole number ≥ 1.

    Example:
        >>> layer, x = squeeze_excite(2), jnp.ones((1, 3, 3, 4))
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> layer.apply(params, state, x)[0].shape, params["reduce"]["kernel"].shape
        ((1, 3, 3, 4), (4, 2))

    Source: Hu, Shen & Sun 2018, eq. 2 to 4.

    Elsewhere: torchvision's `SqueezeExcitation`, whose two maps are 1×1 convolutions.
    """
    return SqueezeExcite(check_count("squeeze_excite(ratio)", ratio, 1))

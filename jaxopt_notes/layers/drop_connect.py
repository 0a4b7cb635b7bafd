"""DropConnect: weights are dropped at random, not units.

Each forward pass in training runs a sparser layer, with one draw for the whole batch.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.dropout import dropout_mask, inverse_keep, scaled
from jaxopt_notes.layers.kernel import check_layer, run_inner, start_inner
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.layers.noise import Noise, check_key
from jaxopt_notes.record import Number, check_number, record

__all__ = ["DropConnect", "drop_connect"]


@record
class DropConnect(Noise):
    """See `drop_connect`."""

    layer: Layer
    rate: Number

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        return start_inner("drop_connect", self.layer, key, x, extra), ()

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: Tree,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        **extra: Any,
    ) -> tuple[Tree, Tree]:
        kernel = params["kernel"]
        if train:
            mask_key, key = jax.random.split(check_key("drop_connect", key))
            mask = dropout_mask(mask_key, self.rate, kernel.shape)
            kernel = jnp.where(mask, scaled(kernel, inverse_keep(self.rate)), jnp.zeros_like(kernel))
        return run_inner(self.layer, params, kernel, x, key, train, extra), state


def drop_connect(layer: Layer, rate: Number = 0.5) -> DropConnect:
    """DropConnect on a layer's kernel.

        training     W' = M ⊙ W/(1 − rate)      M = 0 with probability rate, else 1, for each weight
        evaluation   W' = W

    Arguments:
        layer: a layer with one kernel: `dense`, `conv`, …; its bias is kept.
        rate: the probability of dropping a weight, in [0, 1].

    Returns:
        A `DropConnect` record; params are the layer's. It needs a key only when `train=True`.

    Raises:
        TypeError: not a layer. ValueError: a rate outside [0, 1]; training without a key; in `init`, a layer
        without a kernel.

    Example:
        >>> from jaxopt_notes.initializers import ones
        >>> from jaxopt_notes.layers.dense import dense
        >>> layer = drop_connect(dense(4, kernel_init=ones()), 0.5)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((1, 1)))
        >>> y, _ = layer.apply(params, state, jnp.ones((2, 1)), key=jax.random.key(0), train=True)
        >>> sorted(set(y[0].tolist())), y[0].tolist() == y[1].tolist()
        ([0.0, 2.0], True)

    Source: Wan et al. 2013, eq. 5. There each example has a mask of its own, as under `jax.vmap` over
    examples and keys, and evaluation draws from a Gaussian of the same mean and variance.

    Elsewhere: torch and Flax have none; what EfficientNet calls so is `drop_path`.
    """
    return DropConnect(
        check_layer("drop_connect", layer),
        check_number("drop_connect(rate)", rate, "[0, 1]", "it is the probability of dropping"),
    )

"""Monte-Carlo dropout: many predictions of one network, each with other units dropped.

Their spread says how unsure the network is, their mean predicts a little better than one pass with scaled
weights. Only the layers that draw (`Noise`) behave as in training; batch normalization keeps to its running
statistics, which a call with `train=True` would not.
"""

from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.children import Around, run
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.noise import Noise
from jaxopt_notes.record import record

__all__ = ["monte_carlo"]


@record
class Awake(Around):
    """A layer that draws in evaluation too."""

    layer: Layer

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
        return run(self.layer, params, state, x, key, True, extra)


def monte_carlo(model: Layer, params: Tree, state: Tree, x: Tree, keys: jax.Array, **extra: Any) -> Tree:
    """Predictions with noise, one for each key.

        yₖ = model(x; θ ⊙ noise of key k)      mean over k: the prediction; variance: its uncertainty

    Arguments:
        model: a layer; those in it that are `Noise` draw, all others evaluate.
        params, state: its parameters and state.
        x: inputs [B, …].
        keys: [S], from `jax.random.split(key, S)`.
        extra: other arguments of `model.apply`.

    Returns:
        Outputs [S, B, …].

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.mlp import mlp
        >>> model, x = mlp([32, 1], dropout=0.5), jnp.ones((4, 3))
        >>> params, state = model.init(jax.random.key(0), x)
        >>> y = monte_carlo(model, params, state, x, jax.random.split(jax.random.key(1), 100))
        >>> y.shape, bool((y.std(0) > 0).all())
        ((100, 4, 1), True)

    Source: Gal & Ghahramani 2016, eq. 6 and 8. All S predictions are in memory at once; for many, call it
    with some keys at a time, or under `jax.lax.map`.

    Elsewhere: in torch one sets the dropout modules to `train()` by hand and loops.
    """

    def is_noise(node: Any) -> bool:
        return isinstance(node, Noise)

    awake = jax.tree.map(lambda node: Awake(node) if is_noise(node) else node, model, is_leaf=is_noise)
    return jax.vmap(lambda key: run(awake, params, state, x, key, False, extra)[0])(keys)

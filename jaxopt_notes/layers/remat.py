"""Rematerialization: values within a layer are computed again for the gradient instead of being kept.

It trades time for memory: of the layer only the input is kept. `repeat(remat(block), n)` keeps one activation
a block, whatever is inside. Parameters, outputs, gradients and draws are those of the layer itself.
"""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.children import Around, as_layer, run
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.record import check_choice, record, static

__all__ = ["Remat", "remat"]

POLICIES = (
    "nothing_saveable",
    "everything_saveable",
    "dots_saveable",
    "dots_with_no_batch_dims_saveable",
)


@record
class Remat(Around):
    """See `remat`."""

    layer: Layer
    policy: Any = static()

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: jax.Array,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        **extra: Any,
    ) -> tuple[jax.Array, Tree]:
        def compute(params: Tree, state: Tree, x: jax.Array, key: Any, extra: Any) -> tuple[jax.Array, Tree]:
            return run(self.layer, params, state, x, key, train, extra)

        named = isinstance(self.policy, str)
        policy = getattr(jax.checkpoint_policies, self.policy) if named else self.policy
        return jax.checkpoint(compute, policy=policy)(params, state, x, key, extra)


def remat(layer: Layer, policy: str | Callable[..., bool] = "nothing_saveable") -> Remat:
    """A layer whose inner values are computed again, not kept, when its gradient is taken.

        y = f(x)

    Arguments:
        layer: any layer; its parameters stay where they are, so one can be saved with and loaded without.
        policy: what may be kept after all: "nothing_saveable", "dots_saveable" (matrix products),
            "dots_with_no_batch_dims_saveable", "everything_saveable", or a function as in
            `jax.checkpoint_policies`.

    Returns:
        A `Remat` record, with the parameters and the state of the layer.

    Raises:
        TypeError: not a layer. ValueError: an unknown policy.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.serial import serial
        >>> layer = remat(serial(jnp.sin, jnp.cos))
        >>> jax.grad(lambda x: layer.apply({}, (), x)[0])(jnp.float32(0.5)).round(4)
        Array(-0.4048, dtype=float32)

    Source: Griewank & Walther 2000; Chen et al. 2016, "Training deep nets with sublinear memory cost".

    Elsewhere: `jax.checkpoint`; Flax's `nn.remat`; torch's `checkpoint`.
    """
    if not callable(policy):
        check_choice("remat(policy)", policy, POLICIES)
    return Remat(as_layer("remat(layer)", layer), policy)

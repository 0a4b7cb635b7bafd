"""Layers that share their parameters, because they share a name.

Among the children of one container, those of one name have one entry in its parameters and its state: the
first one makes it, the others use it. So a Siamese network is `parallel(shared(f, "f"), shared(f, "f"))`, and
a block that is unrolled in depth with the same weights `serial(*[shared(f, "f")] * n)`. Gradients of all
places add up. The layers may differ, as long as the parameters of the first suit the others: tied embeddings
are an `embedding` and an `unembedding` of one name.
"""

from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.children import Around, as_layer, run
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.record import record, static

__all__ = ["Shared", "shared"]


@record
class Shared(Around):
    """See `shared`."""

    layer: Any
    shared_name: str = static()

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
        return run(self.layer, params, state, x, key, train, extra)


def shared(layer: Layer, name: str) -> Shared:
    """A layer that shares parameters and state with the others of its name, in the same container.

        y₁ = f(θ, x₁), y₂ = f(θ, x₂)

    Each place draws from a key of its own; a state passes from one place to the next.

    Arguments:
        layer: a layer.
        name: under which its parameters stand in those of the container, in place of `layers_i`.

    Returns:
        A `Shared` record, with the parameters and the state of the layer.

    Raises:
        TypeError: not a layer, or a name that is no string.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.layers.serial import serial
        >>> tied = shared(dense(4), "tied")
        >>> params, _ = serial(tied, jnp.tanh, tied, dense(2)).init(jax.random.key(0), jnp.ones((1, 4)))
        >>> sorted(params)
        ['layers_3', 'tied']

    Elsewhere: in torch, Keras and Flax modules are objects, and calling one twice shares it.
    """
    if not isinstance(name, str):
        raise TypeError(f"shared(name) is {name!r}, expected a string, which others that share it have too.")
    return Shared(as_layer("shared(layer)", layer), name)

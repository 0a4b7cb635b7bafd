"""Layers one after the other, as one layer.

Child i finds its parameters under `layers_i`, as in Flax's `Sequential`, so weights move between the
two by path; children without parameters have no entry, and likewise in the state. Child i draws from
`fold_in(key, i)`: appending a layer leaves the draws of the others alone. A serial layer is a layer, so
it nests. `children` has the mechanism that all containers share.
"""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.children import Running, Starting, as_layer
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.record import record

__all__ = ["Serial", "serial"]


@record
class Serial:
    """See `serial`."""

    layers: tuple

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        child = Starting(key, extra)
        for i, layer in enumerate(self.layers[:-1]):
            x = child.through(f"layers_{i}", layer, x)
        if self.layers:
            child(f"layers_{len(self.layers) - 1}", self.layers[-1], x)
        return child.params, child.state

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
        child = Running(params, state, key, train, extra)
        for i, layer in enumerate(self.layers):
            x = child(f"layers_{i}", layer, x)
        return x, child.state


def serial(*layers: Layer | Callable[[jax.Array], jax.Array]) -> Serial:
    """Layers one after the other.

        y = fₙ(… f₂(f₁(x)))

    Arguments:
        layers: layers, or plain functions of an array, which are taken as activations.

    Returns:
        A `Serial` record; params {"layers_0": …, "layers_2": …} of the children that have any, the
        state likewise, `()` if no child has one. Arguments of `apply` beyond `key` and `train`, such as a
        `mask`, reach the children that name them.

    Raises:
        TypeError: something that is neither a layer nor a function.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.dense import dense
        >>> model = serial(dense(16), jnp.tanh, dense(3))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((8, 5)))
        >>> sorted(params), state
        (['layers_0', 'layers_2'], ())

    Elsewhere: Flax's `Sequential` names its children alike; torch's numbers them "0", "2".
    """
    return Serial(tuple(as_layer(f"serial(layers[{i}])", layer) for i, layer in enumerate(layers)))

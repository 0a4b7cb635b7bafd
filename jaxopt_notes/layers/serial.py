"""Layers one after the other, as one layer.

Child i finds its parameters under `layers_i`, as in Flax's `Sequential`, so weights move between the
two by path; children without parameters have no entry, and likewise in the state. Child i draws from
`fold_in(key, i)`: appending a layer leaves the draws of the others alone. A serial layer is a layer, so
it nests.
"""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.activation import activation
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.record import record


@record
class Serial:
    """See `serial`."""

    layers: tuple

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        params: dict[str, Tree] = {}
        state: dict[str, Tree] = {}
        for i, layer in enumerate(self.layers):
            own, kept = layer.init(jax.random.fold_in(key, i), x)
            x, _ = jax.eval_shape(lambda own, kept, x, layer=layer: layer.apply(own, kept, x), own, kept, x)
            params |= _entry(i, own)
            state |= _entry(i, kept)
        return params, state or ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        before = dict(state) if state else {}
        after: dict[str, Tree] = {}
        for i, layer in enumerate(self.layers):
            own_key = None if key is None else jax.random.fold_in(key, i)
            own, kept = params.get(f"layers_{i}", {}), before.get(f"layers_{i}", ())
            x, kept = layer.apply(own, kept, x, key=own_key, train=train)
            after |= _entry(i, kept)
        return x, after or ()


def _entry(i: int, tree: Tree) -> dict:
    """What child i adds to the dict of its parent: nothing if it has nothing."""
    return {f"layers_{i}": tree} if jax.tree.leaves(tree) else {}


def serial(*layers: Layer | Callable[[jax.Array], jax.Array]) -> Serial:
    """Layers one after the other.

        y = fₙ(… f₂(f₁(x)))

    Arguments:
        layers: layers, or plain functions of an array, which are taken as activations.

    Returns:
        A `Serial` record; params {"layers_0": …, "layers_2": …} of the children that have any, the
        state likewise, `()` if no child has one.

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
    return Serial(tuple(_as_layer(i, layer) for i, layer in enumerate(layers)))


def _as_layer(i: int, layer: Any) -> Layer:
    if isinstance(layer, Layer):
        return layer
    if callable(layer):
        return activation(layer)
    raise TypeError(
        f"serial(layers[{i}]) is {layer!r}, expected a layer (a record with init and apply) or a function: "
        "write serial(dense(16), jax.nn.relu, dense(3)), not a list."
    )

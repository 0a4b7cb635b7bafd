"""Every intermediate activation of a model, by path, for histograms and for whoever is curious.

A model is a tree of layers. `capture` wraps each of them so that it leaves its output in the state, which
containers carry through loops, branches and rematerialization anyway, runs the model once, and takes the
outputs out of the state again. Nothing in a layer has to know of it, and no activation is computed twice.
Under `jit`, what is not used afterwards is not computed.
"""

from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.children import Around, entry, run
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.shared import Shared
from jaxopt_notes.record import record, replace

__all__ = ["capture"]


@record
class Captured:
    """The state of a layer, and with it the outputs that it has left since."""

    state: Tree
    outputs: tuple


@record
class Tapped(Around):
    """A layer that leaves its output in its state."""

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
        before = state.outputs if isinstance(state, Captured) else ()  # it is shared, and was here already
        state = state.state if isinstance(state, Captured) else state
        y, state = run(self.layer, params, state, x, key, train, extra)
        return y, Captured(state, (*before, y))


def tapped(layer: Layer) -> Layer:
    """The same layer, in which every layer below it leaves its output in its state."""

    def is_child(node: Any) -> bool:
        return node is not layer and isinstance(node, Layer)

    def tap(node: Any) -> Any:
        if not isinstance(node, Layer):
            return node
        below = tapped(node)
        return replace(below, layer=Tapped(below.layer.layer)) if isinstance(below, Shared) else Tapped(below)

    return jax.tree.map(tap, layer, is_leaf=is_child)


def capture(
    model: Layer,
    params: Tree,
    state: Tree,
    x: Tree,
    *,
    key: jax.Array | None = None,
    train: bool = False,
    **extra: Any,
) -> tuple[Any, Tree, dict[str, Any]]:
    """`model.apply`, and with it the output of every layer within the model.

        (y, state, {path: output})

    Arguments:
        model, params, state, x, key, train, extra: as for `model.apply`.

    Returns:
        What `model.apply` returns, and a dict of the outputs by path, as in the parameters:
        "layers_0", "layers_2/layer/layers_1". Outputs within a `repeat` have a leading axis for the blocks.
        A shared layer that is used more than once has an entry for each time: "tied[0]", "tied[1]".

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.serial import serial
        >>> model = serial(jnp.exp, serial(jnp.negative, jnp.sqrt), jnp.sin)
        >>> y, state, outputs = capture(model, {}, (), jnp.array([[0.0, 1.0]]))
        >>> list(outputs)
        ['layers_0', 'layers_1/layers_0', 'layers_1/layers_1', 'layers_1', 'layers_2']

    Elsewhere: Flax's `capture_intermediates`; torch's forward hooks.
    """
    y, state = tapped(model).apply(params, state, x, key=key, train=train, **extra)
    outputs: dict[str, Any] = {}
    return y, _taken_out(state, "", outputs), outputs


def _taken_out(state: Tree, path: str, outputs: dict[str, Any]) -> Tree:
    """The state as the model itself leaves it; what was captured goes into `outputs`."""
    if isinstance(state, Captured):
        kept = _taken_out(state.state, path, outputs)
        several = len(state.outputs) > 1
        outputs |= {f"{path}[{i}]" if several else path: y for i, y in enumerate(state.outputs)}
        return kept
    if isinstance(state, dict):
        kept = {}
        for name, below in state.items():
            kept |= entry(name, _taken_out(below, f"{path}/{name}" if path else name, outputs))
        return kept or ()
    return state

"""Initial parameters set from data: one forward pass, in which layers are set when the data reaches them.

Each chosen layer in a model is wrapped, the model evaluated once on a batch, and each wrapped layer sets its
own parameters on what comes in, goes on with them, and leaves them in its state, from where they are put back
in the places they came from. So the layers after it see what they will see in training; containers need to
know nothing of it.
"""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.record import record

__all__: list[str] = []


@record
class Set:
    """The state of a layer, and with it the parameters that it has set."""

    state: Tree
    params: Tree


@record
class Probe:
    """A layer that sets its parameters on the data that reaches it."""

    layer: Any
    adjust: Any

    def init(self, key: jax.Array, x: Tree, **extra: Any) -> tuple[Tree, Tree]:
        params, state = self.layer.init(key, x, **extra)
        return params, Set(state, params)

    def apply(
        self, params: Tree, state: Any, x: Tree, *, key: Any = None, train: bool = False, **extra: Any
    ) -> tuple[Tree, Tree]:
        def run(params: Tree) -> Tree:
            return self.layer.apply(params, state.state, x, key=key, train=train, **extra)[0]

        params = self.adjust(params, run)
        return run(params), Set(state.state, params)


def probe(
    model: Any, key: jax.Array, x: jax.Array, select: Callable[[Any], bool], adjust: Callable
) -> tuple[Tree, Tree]:
    """`model.init`, and the parameters of selected layers set on a batch.

    Arguments:
        model: a layer, with others in it.
        key, x: as for `model.init`; x is data.
        select: which layers in the model.
        adjust: (params, run) → params of one layer, where `run(params)` is its output.
    """
    if isinstance(x, jax.ShapeDtypeStruct):
        raise TypeError(f"the initial parameters depend on data, x is {x}: give a batch of examples.")
    probed = jax.tree.map(
        lambda n: Probe(n, jax.tree_util.Partial(adjust)) if select(n) else n, model, is_leaf=select
    )
    params, state = probed.init(key, x)
    _, state = probed.apply(params, state, x)
    return _restored(params, state)


def _restored(params: Tree, state: Tree) -> tuple[Tree, Tree]:
    """Parameters and state without the `Set` in it: what stands there goes to the same place in params."""
    if isinstance(state, Set):
        return state.params, state.state
    if not isinstance(state, dict):
        return params, state
    params, kept = dict(params), {}
    for name, own in state.items():
        found, own = _restored(params.get(name, {}), own)
        if jax.tree.leaves(found):
            params[name] = found
        if jax.tree.leaves(own):
            kept[name] = own
    return params, kept or ()

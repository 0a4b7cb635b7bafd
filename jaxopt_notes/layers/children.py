"""How a layer holds other layers: every child has a name, a key, and parameters and a state of its own.

A container goes through its children in one order, in `init` with a `Starting`, in `apply` with a
`Running`. The i-th call draws from `fold_in(key, i)`, so appending a child leaves the draws of the others
alone; what a child makes stands under its name, and a child that makes nothing has no entry.

Arguments beyond `key` and `train` (a `mask` of a sequence, the `memory` that a decoder attends to) are
passed down through every container, and reach each layer whose `init` or `apply` names them. So a mask
needs no plumbing, and a layer that knows nothing of it is not in the way. They are arrays.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.activation import activation
from jaxopt_notes.layers.layer import Layer, Shaped, shaped_like

Extra = dict[str, Any]


def start(layer: Layer, key: jax.Array, x: Shaped, extra: Extra) -> tuple[Tree, Tree]:
    """`layer.init` with those of the extra arguments that it names."""
    return layer.init(key, x, **_named(layer.init, extra))


def run(
    layer: Layer, params: Tree, state: Tree, x: Tree, key: jax.Array | None, train: bool, extra: Extra
) -> tuple[Tree, Tree]:
    """`layer.apply` with those of the extra arguments that it names."""
    return layer.apply(params, state, x, key=key, train=train, **_named(layer.apply, extra))


def _named(method: Callable, extra: Extra) -> Extra:
    if not extra:
        return {}
    known = inspect.signature(method).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return extra
    return {name: value for name, value in extra.items() if name in known}


class Around:
    """The `init` of a layer around another one, `layer`, to which it adds no parameters."""

    layer: Layer

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        return start(self.layer, key, x, extra)


class Starting:
    """The children of a container while it is initialized; afterwards `params` and `state` of them all."""

    def __init__(self, key: jax.Array, extra: Extra):
        self.params: dict[str, Tree] = {}
        self._key, self._extra, self._count = key, extra, 0
        self._state: dict[str, Tree] = {}

    def __call__(self, name: str, layer: Layer, x: Shaped) -> None:
        """Initialize a child, unless it shares what another one made."""
        name, key = name_of(layer, name), jax.random.fold_in(self._key, self._count)
        self._count += 1
        if name not in self.params and name not in self._state:
            own, kept = start(layer, key, x, self._extra)
            self.params |= entry(name, own)
            self._state |= entry(name, kept)

    def through(self, name: str, layer: Layer, x: Shaped) -> Shaped:
        """Initialize a child; the shape and dtype of what comes out of it."""
        self(name, layer, x)
        name = name_of(layer, name)

        def evaluate(own: Tree, kept: Tree, x: Tree, extra: Extra) -> Tree:
            return run(layer, own, kept, x, None, False, extra)[0]

        own, kept = self.params.get(name, {}), self._state.get(name, ())
        return jax.eval_shape(evaluate, own, kept, jax.tree.map(_as_jax_has_it, x), self._extra)

    @property
    def state(self) -> Tree:
        return self._state or ()


def _as_jax_has_it(x: Shaped) -> Shaped:
    """x; described in float64 it is described in float32, unless JAX has float64 (and 0.12 warns of it)."""
    return shaped_like(x, x.shape) if isinstance(x, jax.ShapeDtypeStruct) else x


class Running:
    """The children of a container while it is applied; afterwards `state` of them all."""

    def __init__(self, params: Tree, state: Tree, key: jax.Array | None, train: bool, extra: Extra):
        self._params, self._key, self._train, self._extra = params, key, train, extra
        self._before: dict[str, Tree] = dict(state) if state else {}
        self._after: dict[str, Tree] = {}
        self._count = 0

    def __call__(self, name: str, layer: Layer, x: Tree) -> Tree:
        """What a child makes of x."""
        name = name_of(layer, name)
        key = None if self._key is None else jax.random.fold_in(self._key, self._count)
        self._count += 1
        kept = self._after.get(name, self._before.get(name, ()))
        y, kept = run(layer, self._params.get(name, {}), kept, x, key, self._train, self._extra)
        self._after |= entry(name, kept)
        return y

    @property
    def state(self) -> Tree:
        return self._after or ()


def entry(name: str, tree: Tree) -> dict[str, Tree]:
    """What a child adds to the dict of its parent: nothing if it has nothing."""
    return {name: tree} if jax.tree.leaves(tree) else {}


def name_of(layer: Layer, name: str) -> str:
    """The name of a child: the one that it shares with others, or else that of its place."""
    return getattr(layer, "shared_name", name)


def as_layer(where: str, layer: Any) -> Layer:
    """A layer as it is, a plain function as an activation.

    Raises:
        TypeError: something that is neither.
    """
    if isinstance(layer, Layer):
        return layer
    if callable(layer):
        return activation(layer)
    raise TypeError(
        f"{where} is {layer!r}, expected a layer (a record with init and apply) or a function: "
        "write serial(dense(16), jax.nn.relu, dense(3)), not a list."
    )

"""Where the layers of a model keep their parameters: what an exchange with another library goes by.

A model is a tree of layers, its parameters are a tree of dicts, and containers say how the two belong
together. `places` walks both at once and gives every layer that has parameters or a state: its path, what is
its own, and, for a layer of features that were an image before they were flattened, the shape of that image,
because another library flattens another layout. `assembled` puts the parts together again.
"""

import math
import operator
from collections.abc import Generator, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.branch import Branch, Parallel
from jaxopt_notes.layers.capture import capture
from jaxopt_notes.layers.children import Around, entry, name_of
from jaxopt_notes.layers.conv import Conv
from jaxopt_notes.layers.conv_transpose import ConvTranspose
from jaxopt_notes.layers.drop_connect import DropConnect
from jaxopt_notes.layers.embedding import MaskPadding
from jaxopt_notes.layers.layer import Layer, Shaped, shaped_like
from jaxopt_notes.layers.repeat import Repeat
from jaxopt_notes.layers.residual import Residual
from jaxopt_notes.layers.serial import Serial
from jaxopt_notes.layers.weight_standardization import WeightStandardization

Path = tuple[str | int, ...]
Shape = tuple[int, ...] | None
CONTAINERS = (Serial, Branch, Parallel, Residual)
# They hold a layer whose parameters are theirs.
TRANSPARENT = (Around, MaskPadding, DropConnect, WeightStandardization)


class Place(NamedTuple):
    """A layer in a model, with what it owns.

    `path` is that of its parameters; a number in it is that of a block of a `repeat`. `image` is the shape
    [..., C] of what the layer's features were before they were flattened, `None` if they were not.
    """

    path: Path
    layer: Any
    params: Tree
    state: Tree
    image: Shape = None

    def __str__(self) -> str:
        return f"{'/'.join(map(str, self.path)) or 'the model'} ({type(self.layer).__name__})"


def shapes_of(model: Layer, x: Shaped, extra: Mapping[str, Any]) -> tuple[Tree, Tree]:
    """The shapes and dtypes of a model's parameters and state, of which none is computed."""

    def begin(x: Shaped, extra: Any) -> tuple[Tree, Tree]:
        return model.init(jax.random.key(0), x, **extra)

    return jax.eval_shape(begin, x, dict(extra))


def places(
    model: Layer, params: Tree, state: Tree, x: Shaped | None = None, extra: Mapping[str, Any] | None = None
) -> list[Place]:
    """The layers that have parameters or a state, in order, each path once.

    Arguments:
        model, params, state: a layer and what its `init` returns, or arrays of NumPy in their place.
        x, extra: an input, or its shape, and further arguments of `apply`; without x no image is looked for.
    """
    shapes = _Shapes(model, params, state, x, extra or {})
    found: dict[Path, Place] = {}
    for place in _walk(model, (), params, state, x, None, shapes):
        found.setdefault(place.path, place)
    return list(found.values())


def _walk(
    layer: Any, path: Path, params: Tree, state: Tree, x: Shaped, image: Shape, shapes: "_Shapes"
) -> Generator[Place, None, Shape]:
    """The places in a layer, whose features were an image or not; returns whether those it makes were."""
    if isinstance(layer, TRANSPARENT):
        return (yield from _walk(layer.layer, path, params, state, x, image, shapes))
    if isinstance(layer, Serial):
        for name, child in children(layer):
            own, kept, below = _of(params, name), _of(state, name), (*path, name)
            image = yield from _walk(child, below, own, kept, x, image, shapes)
            x = shapes.after(below)
        return image
    if isinstance(layer, Repeat):
        own, kept = _of(params, "layer"), _of(state, "layer")
        for i in range(layer.times):
            block, its = (jax.tree.map(operator.itemgetter(i), tree) for tree in (own, kept))
            yield from _walk(layer.layer, (*path, "layer", i), block, its, x, None, shapes)
        return None
    if isinstance(layer, CONTAINERS):
        for i, (name, child) in enumerate(children(layer)):
            given = x[i] if isinstance(layer, Parallel) and x is not None else x
            own, kept = _of(params, name), _of(state, name)
            yield from _walk(child, (*path, name), own, kept, given, image, shapes)
        return None
    if jax.tree.leaves((params, state)):
        yield Place(path, layer, params, state, image)
        return None
    return shapes.image(x, shapes.after(path), image)


class _Shapes:
    """What comes out of every layer of a model; nothing, where no images can be."""

    def __init__(self, model: Layer, params: Tree, state: Tree, x: Shaped, extra: Mapping[str, Any]):
        nodes = jax.tree.leaves(model, is_leaf=lambda node: isinstance(node, Conv | ConvTranspose))
        signals = any(len(getattr(node, "kernel_size", ())) == 1 for node in nodes)
        self._image_rank = 3 if signals else 4  # sequences have no channels: no library moves their features
        self._outputs: dict[str, Any] = {}
        if any(leaf.ndim >= self._image_rank for leaf in jax.tree.leaves(x)):
            self._outputs = jax.eval_shape(
                lambda params, state, x, extra: capture(model, params, state, x, **extra)[2],
                *jax.tree.map(lambda leaf: shaped_like(leaf, leaf.shape), (params, state)),
                x,
                dict(extra),
            )

    def after(self, path: Path) -> Shaped:
        """The output of the layer of a path; `capture` stacks those of the blocks of a `repeat`."""
        name = "/".join(part for part in path if isinstance(part, str))
        y = self._outputs.get(name, self._outputs.get(f"{name}[0]"))
        blocks = sum(isinstance(part, int) for part in path)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[blocks:], leaf.dtype), y)

    def image(self, x: Shaped, y: Any, before: Shape) -> Shape:
        """The image [..., C] that the features of y were, made by a layer without parameters."""
        if not (hasattr(x, "shape") and hasattr(y, "shape")):
            return None
        if len(x.shape) >= self._image_rank and y.shape[1:] == (math.prod(x.shape[1:]),):
            return tuple(x.shape[1:])
        return before if y.shape == x.shape else None


def children(layer: Any) -> Iterator[tuple[str, Any]]:
    """The layers in a container, with the names of their parameters; none in any other layer."""
    named: dict[str, Any] = {}
    if isinstance(layer, Residual):
        named = {"layer": layer.layer, "shortcut": layer.shortcut}
    elif isinstance(layer, Serial | Branch | Parallel):
        named = {f"layers_{i}": child for i, child in enumerate(layer.layers)}
    for name, child in named.items():
        if child is not None:
            yield name_of(child, name), child


def _of(tree: Tree, name: str) -> Tree:
    return tree.get(name, {}) if isinstance(tree, dict) else {}


def assembled(parts: Mapping[Path, Tree]) -> Tree:
    """The tree whose parts these are; blocks of a `repeat` are stacked.

    Example:
        >>> parts = {("layers_0",): {"bias": np.zeros(2)}, ("layers_1",): {}}
        >>> assembled(parts)
        {'layers_0': {'bias': array([0., 0.])}}
    """
    if () in parts:
        return parts[()]
    below: dict[str | int, dict[Path, Tree]] = {}
    for (first, *rest), tree in parts.items():
        below.setdefault(first, {})[tuple(rest)] = tree
    trees = {name: assembled(part) for name, part in below.items()}
    if 0 in trees:
        blocks = [trees[i] for i in range(len(trees))]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *blocks)
    found: dict[str, Tree] = {}
    for name, tree in trees.items():
        found |= entry(str(name), tree)
    return found

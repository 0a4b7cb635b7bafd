"""Several layers beside each other: `branch` gives them one input, `parallel` an input each; both merge.

An Inception module is `branch` with "concatenate"; a layer of a DenseNet is
`branch(identity, layer)`; a model of two kinds of input is `parallel`, and a Siamese one `parallel` of one
`shared` layer. Child i stands under `layers_i` and draws from `fold_in(key, i)`, as in `serial`.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.layers.children import Running, Starting, as_layer
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.record import as_leaf, check_choice, record

__all__ = ["Branch", "Parallel", "branch", "parallel"]

Arrays = tuple[jax.Array, ...]


@record
class Branch:
    """See `branch`."""

    layers: tuple
    merge: Callable

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        child = Starting(key, extra)
        for i, layer in enumerate(self.layers):
            child(f"layers_{i}", layer, x)
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
    ) -> tuple[Tree, Tree]:
        child = Running(params, state, key, train, extra)
        ys = tuple(child(f"layers_{i}", layer, x) for i, layer in enumerate(self.layers))
        return self.merge(ys), child.state


@record
class Parallel:
    """See `parallel`."""

    layers: tuple
    merge: Callable

    def init(self, key: jax.Array, x: tuple[Shaped, ...], **extra: Any) -> tuple[Tree, Tree]:
        child = Starting(key, extra)
        for i, (layer, part) in enumerate(zip(self.layers, self._parts(x), strict=True)):
            child(f"layers_{i}", layer, part)
        return child.params, child.state

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: Arrays,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        **extra: Any,
    ) -> tuple[Tree, Tree]:
        child = Running(params, state, key, train, extra)
        both = zip(self.layers, self._parts(x), strict=True)
        ys = tuple(child(f"layers_{i}", layer, part) for i, (layer, part) in enumerate(both))
        return self.merge(ys), child.state

    def _parts(self, x: Tree) -> tuple:
        if not isinstance(x, tuple | list) or len(x) != len(self.layers):
            found = f"{len(x)} inputs" if isinstance(x, tuple | list) else f"a {type(x).__name__}"
            raise ValueError(
                f"parallel(x) is {found}, expected a tuple with an input for each of its {len(self.layers)} "
                "layers: to give one input to all of them use branch."
            )
        return tuple(x)


def together(ys: Arrays) -> Arrays:
    """The outputs as a tuple."""
    return tuple(ys)


def concatenated(ys: Arrays) -> jax.Array:
    """The outputs side by side, on the last axis."""
    _check("concatenate", [y.shape[:-1] for y in ys], ys)
    return jnp.concatenate(ys, axis=-1)


def summed(ys: Arrays) -> jax.Array:
    """The sum of the outputs."""
    return _folded("sum", operator.add, ys)


def averaged(ys: Arrays) -> jax.Array:
    """The mean of the outputs."""
    return _folded("mean", operator.add, [y / jnp.asarray(len(ys), y.dtype) for y in ys])


def multiplied(ys: Arrays) -> jax.Array:
    """The product of the outputs, number by number: a gate, say."""
    return _folded("product", operator.mul, ys)


def _folded(name: str, combine: Callable, ys: Any) -> jax.Array:
    _check(name, [y.shape for y in ys], ys)
    kind = compute_dtype(*ys)
    return functools.reduce(combine, (y.astype(kind) for y in ys)).astype(ys[0].dtype)


def _check(name: str, shapes: list, ys: Any) -> None:
    if any(shape != shapes[0] for shape in shapes):
        found = ", ".join(str(tuple(y.shape)) for y in ys)
        but = " but for the last axis" if name == "concatenate" else ""
        raise ValueError(f'merge="{name}" is given {found}, expected equal shapes{but}.')


MERGES: dict[str, Callable[[Arrays], Any]] = {
    "concatenate": concatenated,
    "sum": summed,
    "mean": averaged,
    "product": multiplied,
    "tuple": together,
}


def as_merge(where: str, merge: Any) -> Callable:
    """A name in `MERGES`, or a function of a tuple of arrays, as a leaf of a record."""
    if callable(merge):
        return as_leaf(merge)
    return as_leaf(MERGES[check_choice(where, merge, tuple(MERGES))])


def branch(
    *layers: Layer | Callable[[jax.Array], jax.Array],
    merge: str | Callable[[Arrays], Any] = "concatenate",
) -> Branch:
    """Several layers on the same input, their outputs merged.

        y = merge(f₁(x), …, fₙ(x))

    Arguments:
        layers: layers, or plain functions of an array.
        merge: "concatenate" (on the last axis), "sum", "mean", "product", "tuple", or a function of the tuple
            of outputs.

    Returns:
        A `Branch` record; params {"layers_0": …} of the children that have any, the state likewise.

    Raises:
        TypeError: something that is neither a layer nor a function. ValueError: an unknown merge; in `apply`,
            outputs that cannot be merged.

    Example:
        >>> layer = branch(jnp.sin, jnp.cos)
        >>> layer.apply({}, (), jnp.zeros((1, 2)))[0]
        Array([[0., 0., 1., 1.]], dtype=float32)

    Source: Szegedy et al. 2015, "Going deeper with convolutions", figure 2.

    Elsewhere: stax has `FanOut` and `FanInSum`, `FanInConcat`; Keras an `Add` and a `Concatenate`.
    """
    found = tuple(as_layer(f"branch(layers[{i}])", layer) for i, layer in enumerate(layers))
    return Branch(found, as_merge("branch(merge)", merge))


def parallel(
    *layers: Layer | Callable[[jax.Array], jax.Array], merge: str | Callable[[Arrays], Any] = "tuple"
) -> Parallel:
    """Several layers, each on an input of its own, their outputs merged.

        y = merge(f₁(x₁), …, fₙ(xₙ))

    Arguments:
        layers: layers, or plain functions of an array.
        merge: "tuple", "concatenate" (on the last axis), "sum", "mean", "product", or a function of the tuple
            of outputs.

    Returns:
        A `Parallel` record, of a tuple (x₁, …, xₙ); params {"layers_0": …} of the children that have any.

    Raises:
        TypeError: something that is neither a layer nor a function. ValueError: an unknown merge; in `init`
            and `apply`, another number of inputs, and outputs that cannot be merged.

    Example:
        >>> layer = parallel(jnp.sin, jnp.cos, merge="sum")
        >>> layer.apply({}, (), (jnp.zeros((1, 2)), jnp.zeros((1, 2))))[0]
        Array([[1., 1.]], dtype=float32)

    Elsewhere: stax has `parallel`, whose inputs come from `FanOut`.
    """
    found = tuple(as_layer(f"parallel(layers[{i}])", layer) for i, layer in enumerate(layers))
    return Parallel(found, as_merge("parallel(merge)", merge))

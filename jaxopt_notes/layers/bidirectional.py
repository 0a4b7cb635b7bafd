"""A recurrent layer that goes both ways through a sequence, so that each step knows what comes after it."""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.branch import as_merge
from jaxopt_notes.layers.children import Running, Starting
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.layers.recurrent import Recurrent
from jaxopt_notes.record import record, replace

__all__ = ["Bidirectional", "bidirectional"]


@record
class Bidirectional:
    """See `bidirectional`."""

    forward: Layer
    backward: Layer
    merge: Callable

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        child = Starting(key, extra)
        child("forward", self.forward, x)
        child("backward", self.backward, x)
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
        ys = child("forward", self.forward, x), child("backward", self.backward, x)
        return self.merge(ys), child.state


def bidirectional(
    layer: Recurrent, merge: str | Callable[[tuple[jax.Array, ...]], Any] = "concatenate"
) -> Bidirectional:
    """A recurrent layer and the same one backwards in time, each with parameters of its own.

        yₜ = merge(→hₜ, ←hₜ)

    Arguments:
        layer: an `rnn`, `lstm` or `gru`, for the way forward.
        merge: "concatenate" (on the last axis, to 2H features), "sum", "mean", "product", "tuple", or a
            function of the two outputs.

    Returns:
        A `Bidirectional` record; params {"forward": …, "backward": …}. Without `return_sequences` each way
        gives where it ends: the way back at the first step. Padding that a `mask` marks is skipped both ways.

    Raises:
        TypeError: not a recurrent layer. ValueError: it runs backwards already; an unknown merge.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.lstm import lstm
        >>> layer = bidirectional(lstm(4))
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 5, 3)))
        >>> layer.apply(params, state, jnp.ones((2, 5, 3)))[0].shape
        (2, 5, 8)

    Source: Schuster & Paliwal 1997.

    Elsewhere: torch's `bidirectional=True` concatenates; its backward weights have the suffix `_reverse`.
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(f"bidirectional(layer) is {layer!r}, expected a recurrent layer: rnn, lstm or gru.")
    if layer.reverse:
        raise ValueError("bidirectional(layer) has reverse=True, expected the layer for the way forward.")
    return Bidirectional(layer, replace(layer, reverse=True), as_merge("bidirectional(merge)", merge))

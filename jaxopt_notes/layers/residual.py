"""A residual connection: the layer learns what to add to its input.

What comes in is added to what comes out, so the gradient has a way around the layer: the Jacobian is
I + J, and a hundred layers cannot make the identity vanish. All kinds are made of this one. The original
block (He et al. 2016a) is `serial(residual(serial(conv, norm, relu, conv, norm)), relu)`; the pre-activation
block (2016b) is `residual(serial(norm, relu, conv, norm, relu, conv))`, with nothing on the way around; where
widths differ the shortcut is a projection, such as a convolution of size 1. A layer at the end of the
branch can begin it at 0 (a normalization with `scale_init=zeros()`) or drop it at random (stochastic depth).
"""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.children import Running, Starting, as_layer
from jaxopt_notes.layers.layer import Layer, Shaped, floating
from jaxopt_notes.record import record

__all__ = ["Residual", "residual"]


@record
class Residual:
    """See `residual`."""

    layer: Layer
    shortcut: Any

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        child = Starting(key, extra)
        child("layer", self.layer, x)
        if self.shortcut is not None:
            child("shortcut", self.shortcut, x)
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
        y = child("layer", self.layer, x)
        around = floating(x) if self.shortcut is None else child("shortcut", self.shortcut, x)
        if y.shape != around.shape:
            raise ValueError(
                f"residual(layer) turns {tuple(x.shape)} into {tuple(y.shape)}, its shortcut gives "
                f"{tuple(around.shape)}, expected the same: let the layer keep the shape, or project with "
                "residual(layer, dense(features)), or with a convolution of size 1 and the same strides."
            )
        return around + y.astype(around.dtype), child.state


def residual(
    layer: Layer | Callable[[jax.Array], jax.Array],
    shortcut: Layer | Callable[[jax.Array], jax.Array] | None = None,
) -> Residual:
    """A layer whose input is added to its output.

        y = shortcut(x) + layer(x)

    Arguments:
        layer: the residual branch, a layer or a function.
        shortcut: the way around it, a layer or a function; `None` is the identity.

    Returns:
        A `Residual` record; params {"layer": …, "shortcut": …} of those that have any.

    Raises:
        TypeError: something that is neither a layer nor a function. ValueError, in `init` and `apply`: the
            two ways end in different shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.initializers import zeros
        >>> from jaxopt_notes.layers.dense import dense
        >>> layer = residual(dense(2, kernel_init=zeros()))
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((1, 2)))
        >>> layer.apply(params, state, jnp.array([[3.0, 5.0]]))[0]
        Array([[3., 5.]], dtype=float32)

    Source: He, Zhang, Ren & Sun 2016, "Deep residual learning", eq. 1 and 2; "Identity mappings", eq. 1.
    """
    return Residual(
        as_layer("residual(layer)", layer),
        None if shortcut is None else as_layer("residual(shortcut)", shortcut),
    )

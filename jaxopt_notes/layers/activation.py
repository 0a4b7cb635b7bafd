"""A layer that applies a function to each number, or to the last axis: relu, tanh, softmax, yours."""

from collections.abc import Callable

import jax

from jaxopt_notes.activations import ACTIVATIONS
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.layer import WithoutParameters, floating
from jaxopt_notes.record import as_leaf, check_choice, record

__all__ = ["Activation", "activation"]


@record
class Activation(WithoutParameters):
    """See `activation`."""

    function: Callable

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        return self.function(floating(x)), state


def activation(function: str | Callable[[jax.Array], jax.Array] = "relu") -> Activation:
    """An activation as a layer.

        y = φ(x)

    Arguments:
        function: a name in `jaxopt_notes.activations.ACTIVATIONS`, or any function of an array. A record or a
            `jax.tree_util.Partial` keeps its numbers as leaves: a batch of slopes, say.

    Returns:
        An `Activation` record.

    Raises:
        ValueError: an unknown name, with the known ones listed.

    Example:
        >>> import jax.numpy as jnp
        >>> activation(jnp.tanh).apply({}, (), jnp.zeros(2))[0]
        Array([0., 0.], dtype=float32)

    Elsewhere: in Flax a plain function stands in `Sequential`, and `serial` takes one too; torch and
    Equinox have a module for each.
    """
    if isinstance(function, str):
        function = ACTIVATIONS[check_choice("activation(function)", function, tuple(ACTIVATIONS))]
    return Activation(as_leaf(function))

"""A multilayer perceptron: dense layers with an activation after each but the last."""

from collections.abc import Callable, Sequence

import jax

from jaxopt_notes.initializers import he_normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.activation import activation as activation_layer
from jaxopt_notes.layers.batch_norm import batch_norm as batch_norm_layer
from jaxopt_notes.layers.dense import dense
from jaxopt_notes.layers.dropout import dropout as dropout_layer
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.record import Number, check_choice, check_count

__all__ = ["mlp"]


def mlp(
    sizes: Sequence[int],
    activation: str | Callable[[jax.Array], jax.Array] = "relu",
    dropout: Number | None = None,
    batch_norm: bool | str = False,
    kernel_init: Initializer = he_normal(),
) -> Serial:
    """A multilayer perceptron.

        hᵢ = dropout(φ(norm(hᵢ₋₁·Wᵢ + bᵢ)))      y = hₙ₋₁·Wₙ + bₙ

    Arguments:
        sizes: widths of all dense layers, the output's last: [128, 128, 10].
        activation: φ, by name or as a function.
        dropout: the rate, a number or a traced one; applied to hidden activations, never to the
            output. `None` leaves the layers out, which 0 does not.
        batch_norm: True or "before" normalizes before the activation, where the dense bias is left
            out because β does its work; "after" normalizes the activations.
        kernel_init: initializer of the kernels; the default is meant for rectifiers.

    Returns:
        A `Serial` record, from [B, I] to [B, sizes[-1]].

    Raises:
        ValueError, TypeError: no sizes, or one that is not a whole number ≥ 1; a rate outside [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> model = mlp([16, 3], dropout=0.1)
        >>> params, state = model.init(jax.random.key(0), jnp.ones((8, 5)))
        >>> jax.tree.map(jnp.shape, params)
        {'layers_0': {'bias': (16,), 'kernel': (5, 16)}, 'layers_3': {'bias': (3,), 'kernel': (16, 3)}}

    Source: Goodfellow, Bengio & Courville 2016, chapter 6. The study notes disagree on where batch
    normalization stands; before the activation is the paper's.
    """
    if not sizes:
        raise ValueError("mlp(sizes) is empty, expected the widths of all dense layers, such as [128, 10].")
    *hidden, outputs = (check_count("mlp(sizes)", size, 1) for size in sizes)
    layers: list[Layer] = []
    for size in hidden:
        layers += [dense(size, use_bias=has_bias("mlp", batch_norm), kernel_init=kernel_init)]
        layers += hidden_layers(activation, batch_norm)
        layers += [] if dropout is None else [dropout_layer(dropout)]
    return serial(*layers, dense(outputs, kernel_init=kernel_init))


def has_bias(name: str, batch_norm: bool | str) -> bool:
    """Whether a layer needs a bias of its own: not if batch normalization comes right after it."""
    choices = (False, True, "before", "after")
    return check_choice(f"{name}(batch_norm)", batch_norm, choices) in (False, "after")


def hidden_layers(activation: str | Callable[[jax.Array], jax.Array], batch_norm: bool | str) -> list[Layer]:
    """An activation and the batch normalization before or after it, if there is one."""
    function = activation_layer(activation)
    if not batch_norm:
        return [function]
    return [function, batch_norm_layer()] if batch_norm == "after" else [batch_norm_layer(), function]

"""A small convolutional network: convolution, activation and pooling, repeated, then a perceptron."""

from collections.abc import Callable, Sequence

import jax

from jaxopt_notes.initializers import he_normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.conv import conv
from jaxopt_notes.layers.flatten import flatten
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.mlp import has_bias, hidden_layers, mlp
from jaxopt_notes.layers.pooling import max_pool
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.record import Number

__all__ = ["cnn"]


def cnn(
    channels: Sequence[int],
    sizes: Sequence[int],
    activation: str | Callable[[jax.Array], jax.Array] = "relu",
    dropout: Number | None = None,
    batch_norm: bool | str = False,
    kernel_init: Initializer = he_normal(),
    kernel_size: int | tuple[int, int] = 3,
    pool: int | tuple[int, int] = 2,
) -> Serial:
    """A convolutional network for small images: 8×8 digits, 28×28 digits.

        hᵢ = max_pool(φ(norm(conv(hᵢ₋₁))))      y = mlp(flatten(hₙ))

    Arguments:
        channels: output channels of the convolutions: [16, 32].
        sizes: widths of the dense layers, the output's last: [64, 10].
        activation, dropout, batch_norm, kernel_init: as in `mlp`; dropout in the dense layers only.
        kernel_size: of the convolutions, in pixels; padding is "SAME".
        pool: window and stride of the pooling after each convolution.

    Returns:
        A `Serial` record, from [B, H, W, C] to [B, sizes[-1]].

    Raises:
        ValueError, TypeError: a size that is not a whole number ≥ 1; a rate outside [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> model = cnn([16, 32], [10])
        >>> params, state = model.init(jax.random.key(0), jnp.ones((2, 8, 8, 1)))
        >>> model.apply(params, state, jnp.ones((2, 8, 8, 1)))[0].shape
        (2, 10)
    """
    layers: list[Layer] = []
    for features in channels:
        layers += [conv(features, kernel_size, use_bias=has_bias("cnn", batch_norm), kernel_init=kernel_init)]
        layers += hidden_layers(activation, batch_norm)
        layers += [max_pool(pool)]
    return serial(*layers, flatten(), *mlp(sizes, activation, dropout, batch_norm, kernel_init).layers)

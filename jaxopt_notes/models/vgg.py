"""VGG: convolutions of 3×3 only, in five stages of twice the channels, and a large perceptron."""

from collections.abc import Sequence

from jaxopt_notes.initializers import he_normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.conv import conv
from jaxopt_notes.layers.flatten import flatten
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.mlp import has_bias, hidden_layers, mlp
from jaxopt_notes.layers.pooling import max_pool
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.record import Number, check_choice

__all__ = ["vgg"]

CHANNELS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(
    classes: int = 1000,
    depth: int = 16,
    *,
    batch_norm: bool | str = False,
    dropout: Number | None = 0.5,
    hidden: Sequence[int] = (4096, 4096),
    kernel_init: Initializer = he_normal(mode="fan_out"),
) -> Serial:
    """A VGG network.

        5 × (conv 3×3, …, max pool 2×2)            dense 4096 → dense 4096 → dense classes

    Of 224×224×3 pixels and 1000 classes, depth 16 has 138,357,544 parameters.

    Arguments:
        classes: the number of outputs.
        depth: 11, 13, 16 or 19 layers with weights (A, B, D, E in the paper).
        batch_norm: True or "before" normalizes before each activation of a convolution, "after" after it.
        dropout: rate in the perceptron; `None` leaves it out.
        hidden: widths of the perceptron: for small images, such as CIFAR's, () or (512,).
        kernel_init: initializer of all kernels.

    Returns:
        A `Serial` record, from [B, H, W, C] to [B, classes].

    Raises:
        ValueError, TypeError: another depth, sizes that are not whole numbers ≥ 1, a rate outside [0, 1].

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> shapes, _ = jax.eval_shape(vgg().init, jax.random.key(0), jnp.ones((1, 224, 224, 3)))
        >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
        138357544

    Source: Simonyan & Zisserman 2015, table 1.
    """
    counts = CONVOLUTIONS[check_choice("vgg(depth)", depth, tuple(CONVOLUTIONS))]
    layers: list[Layer] = []
    for channels, count in zip(CHANNELS, counts, strict=True):
        for _ in range(count):
            layers += [conv(channels, 3, use_bias=has_bias("vgg", batch_norm), kernel_init=kernel_init)]
            layers += hidden_layers("relu", batch_norm)
        layers += [max_pool(2)]
    head = mlp([*hidden, classes], "relu", dropout, kernel_init=kernel_init)
    return serial(*layers, flatten(), *head.layers)

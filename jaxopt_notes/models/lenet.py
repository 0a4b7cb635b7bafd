"""LeNet-5, the convolutional network that read digits on cheques."""

from collections.abc import Callable

import jax

from jaxopt_notes.initializers import lecun_normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.activation import activation as activation_layer
from jaxopt_notes.layers.conv import conv
from jaxopt_notes.layers.flatten import flatten
from jaxopt_notes.layers.mlp import mlp
from jaxopt_notes.layers.pooling import average_pool
from jaxopt_notes.layers.serial import Serial, serial

__all__ = ["lenet"]


def lenet(
    classes: int = 10,
    activation: str | Callable[[jax.Array], jax.Array] = "tanh",
    kernel_init: Initializer = lecun_normal(),
) -> Serial:
    """LeNet-5, for images of 28×28 or 32×32 pixels.

        conv 6@5×5 → pool → conv 16@5×5 → pool → dense 120 → dense 84 → dense classes

    61,706 parameters from 28×28×1, which is padded to 32×32, to 10 classes. The original connected only some
    of the 16 maps to some of the 6, learned a scale and a bias in each pooling, and ended in radial basis
    functions.

    Arguments:
        classes: the number of outputs.
        activation: after each layer but the last, by name or as a function.
        kernel_init: initializer of all kernels.

    Returns:
        A `Serial` record, from [B, 28, 28, C] to [B, classes].

    Raises:
        TypeError, ValueError: a number of classes that is not a whole number ≥ 1, an unknown activation.

    Example:
        >>> import jax.numpy as jnp
        >>> model = lenet()
        >>> params, state = jax.jit(model.init)(jax.random.key(0), jnp.ones((2, 28, 28, 1)))
        >>> jax.eval_shape(model.apply, params, state, jnp.ones((2, 28, 28, 1)))[0].shape
        (2, 10)

    Source: LeCun, Bottou, Bengio & Haffner 1998, section II.B.
    """
    return serial(
        conv(6, 5, padding="SAME", kernel_init=kernel_init),
        activation_layer(activation),
        average_pool(2),
        conv(16, 5, padding="VALID", kernel_init=kernel_init),
        activation_layer(activation),
        average_pool(2),
        flatten(),
        *mlp([120, 84, classes], activation, kernel_init=kernel_init).layers,
    )

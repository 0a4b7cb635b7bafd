"""Densely connected networks: each layer sees the outputs of all before it in its block, side by side."""

from collections.abc import Sequence

import jax

from jaxopt_notes.activations import identity
from jaxopt_notes.initializers import he_normal
from jaxopt_notes.layers.batch_norm import batch_norm
from jaxopt_notes.layers.branch import branch
from jaxopt_notes.layers.conv import conv
from jaxopt_notes.layers.dense import dense
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.pooling import average_pool, max_pool
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.models.resnet import global_mean
from jaxopt_notes.record import check_choice, check_count

__all__ = ["dense_block", "densenet", "transition"]

BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


def dense_block(layers: int, growth_rate: int, bottleneck: int | None = 4) -> Serial:
    """Layers whose outputs are all kept: k₀ channels become k₀ + layers·growth_rate.

        x ← [x, conv₃(relu(norm(conv₁(relu(norm(x))))))]

    Arguments:
        layers: how many, ≥ 1.
        growth_rate: k, channels that each layer adds.
        bottleneck: the 1×1 convolution before the 3×3 one has this many times k channels; `None`
            leaves it out, with its normalization and activation.

    Returns:
        A `Serial` record, from [B, H, W, C] to [B, H, W, C + layers·k].

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1.

    Example:
        >>> import jax.numpy as jnp
        >>> block = dense_block(3, 12)
        >>> params, state = jax.jit(block.init)(jax.random.key(0), jnp.ones((1, 8, 8, 16)))
        >>> jax.eval_shape(block.apply, params, state, jnp.ones((1, 8, 8, 16)))[0].shape
        (1, 8, 8, 52)

    Source: Huang, Liu, van der Maaten & Weinberger 2017, section 3.
    """
    check_count("dense_block(layers)", layers, 1)
    check_count("dense_block(growth_rate)", growth_rate, 1)
    narrow: list = (
        [] if bottleneck is None else [batch_norm(), jax.nn.relu, _conv(bottleneck * growth_rate, 1)]
    )
    layer = serial(*narrow, batch_norm(), jax.nn.relu, _conv(growth_rate, 3))
    return serial(*[branch(identity, layer)] * layers)


def transition(features: int) -> Serial:
    """Between two dense blocks: fewer channels, and half the pixels.

        y = average_pool(conv₁(relu(norm(x))))

    Arguments:
        features: channels of the output.

    Returns:
        A `Serial` record, from [B, H, W, C] to [B, H/2, W/2, features].

    Example:
        >>> import jax.numpy as jnp
        >>> layer = transition(8)
        >>> params, state = jax.jit(layer.init)(jax.random.key(0), jnp.ones((1, 8, 8, 16)))
        >>> jax.eval_shape(layer.apply, params, state, jnp.ones((1, 8, 8, 16)))[0].shape
        (1, 4, 4, 8)

    Source: Huang, Liu, van der Maaten & Weinberger 2017, section 3.
    """
    return serial(batch_norm(), jax.nn.relu, _conv(features, 1), average_pool(2))


def densenet(
    classes: int = 1000,
    depth: int | Sequence[int] = 121,
    *,
    growth_rate: int = 32,
    width: int = 64,
    bottleneck: int | None = 4,
    compression: float = 0.5,
    small: bool = False,
) -> Serial:
    """A densely connected network.

        conv 7×7/2 → max pool 3×3/2 → (dense block → transition) … → dense block → mean → dense

    Of 224×224×3 pixels and 1000 classes, depth 121 has 7,978,856 parameters.

    Arguments:
        classes: the number of outputs.
        depth: 121, 169 or 201, or the number of layers in each dense block: (12, 12, 12).
        growth_rate: k, channels that each layer adds.
        width: channels before the first block.
        bottleneck: as in `dense_block`.
        compression: the share of its channels that a transition keeps, in (0, 1].
        small: whether images are small, as CIFAR's: a convolution of 3×3 comes first, and nothing is pooled.

    Returns:
        A `Serial` record, from [B, H, W, C] to [B, classes].

    Raises:
        ValueError, TypeError: another depth, sizes that are not whole numbers ≥ 1.

    Example:
        >>> import jax.numpy as jnp
        >>> model = densenet(10, (2, 2), growth_rate=4, width=8, small=True)
        >>> params, state = jax.jit(model.init)(jax.random.key(0), jnp.ones((1, 8, 8, 3)))
        >>> jax.eval_shape(model.apply, params, state, jnp.ones((1, 8, 8, 3)))[0].shape
        (1, 10)

    Source: Huang, Liu, van der Maaten & Weinberger 2017, table 1.
    """
    counts = (
        BLOCKS[check_choice("densenet(depth)", depth, tuple(BLOCKS))] if isinstance(depth, int) else depth
    )
    stem: list = [_conv(width, 3)] if small else [_conv(width, 7, 2), batch_norm(), jax.nn.relu]
    layers: list = stem if small else [*stem, max_pool(3, 2, padding=1)]
    for i, count in enumerate(counts):
        layers += [dense_block(count, growth_rate, bottleneck)]
        width += count * growth_rate
        if i + 1 < len(counts):
            width = int(width * compression)
            layers += [transition(width)]
    return serial(*layers, batch_norm(), jax.nn.relu, global_mean, dense(classes))


def _conv(features: int, kernel_size: int, strides: int = 1) -> Layer:
    pad = kernel_size // 2  # on all sides, as in torchvision
    return conv(features, kernel_size, strides=strides, padding=pad, use_bias=False, kernel_init=he_normal())

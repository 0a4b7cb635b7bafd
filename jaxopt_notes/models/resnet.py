"""Residual networks: for ImageNet of 18 to 152 layers, for CIFAR of any depth 6n + 2, and their blocks.

A block is two or three convolutions, each normalized, with a way around them. Where a stage halves the image
and widens it, the way around is a projection (ImageNet), or every second pixel with zeros for the new
channels, which has no parameters (CIFAR). Convolutions are padded as torchvision's, so that weights from
there give the same outputs.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_notes.initializers import he_normal, ones, zeros
from jaxopt_notes.layers.batch_norm import batch_norm
from jaxopt_notes.layers.conv import conv
from jaxopt_notes.layers.dense import dense
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.pooling import max_pool
from jaxopt_notes.layers.repeat import repeat
from jaxopt_notes.layers.residual import residual
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.record import check_choice, check_count

__all__ = ["bottleneck_block", "cifar_resnet", "preactivation_block", "residual_block", "resnet"]

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
KERNEL_INIT = he_normal(mode="fan_out")

Shortcut = Layer | Callable[[jax.Array], jax.Array] | None


def residual_block(
    features: int, strides: int = 1, shortcut: Shortcut = None, *, zero_init: bool = False
) -> Serial:
    """The block of the 18 and 34 layer networks and of CIFAR's.

        y = relu(shortcut(x) + norm(conv(relu(norm(conv(x))))))            convolutions of 3×3

    Arguments:
        features: channels of the output.
        strides: of the first convolution.
        shortcut: the way around, a layer or a function: `projection(features, strides)` where the shape
            changes; `None` is the identity.
        zero_init: whether the last scale begins at 0, and the block as its shortcut.

    Returns:
        A `Serial` record.

    Example:
        >>> layer = residual_block(4)
        >>> params, state = jax.jit(layer.init)(jax.random.key(0), jnp.ones((1, 8, 8, 4)))
        >>> jax.eval_shape(layer.apply, params, state, jnp.ones((1, 8, 8, 4)))[0].shape
        (1, 8, 8, 4)

    Source: He, Zhang, Ren & Sun 2016, "Deep residual learning", figure 2; Goyal et al. 2017 for `zero_init`.
    """
    branch = serial(*_conv_norm(features, 3, strides), jax.nn.relu, *_conv_norm(features, 3, zero=zero_init))
    return serial(residual(branch, shortcut), jax.nn.relu)


def bottleneck_block(
    features: int, strides: int = 1, shortcut: Shortcut = None, *, zero_init: bool = False
) -> Serial:
    """The block of the networks of 50 layers and more: 1×1 to a quarter of the channels, 3×3, and 1×1 back.

        y = relu(shortcut(x) + norm(conv₁(relu(norm(conv₃(relu(norm(conv₁(x)))))))))

    The stride is that of the 3×3 convolution.

    Arguments:
        features: channels of the output; four times those of the 3×3 convolution.
        strides, shortcut, zero_init: as in `residual_block`.

    Returns:
        A `Serial` record.

    Raises:
        ValueError: features is not a multiple of 4.

    Example:
        >>> layer = bottleneck_block(8)
        >>> params, state = jax.jit(layer.init)(jax.random.key(0), jnp.ones((1, 8, 8, 8)))
        >>> params["layers_0"]["layer"]["layers_3"]["kernel"].shape
        (3, 3, 2, 2)

    Source: He, Zhang, Ren & Sun 2016, figure 5; the stride as in torchvision ("v1.5"), in the paper it is
    the first convolution's.
    """
    if features % 4:
        raise ValueError(f"bottleneck_block(features) is {features}, expected a multiple of 4.")
    branch = serial(
        *_conv_norm(features // 4, 1),
        jax.nn.relu,
        *_conv_norm(features // 4, 3, strides),
        jax.nn.relu,
        *_conv_norm(features, 1, zero=zero_init),
    )
    return serial(residual(branch, shortcut), jax.nn.relu)


def preactivation_block(features: int, strides: int = 1, shortcut: Shortcut = None) -> Layer:
    """The block with nothing on the way around: normalization and activation come first.

        y = x + conv(relu(norm(conv(relu(norm(x))))))

    Where there is a shortcut it starts from relu(norm(x)), which both ways then share.

    Arguments:
        features, strides, shortcut: as in `residual_block`.

    Returns:
        A layer.

    Example:
        >>> layer = preactivation_block(4)
        >>> params, state = jax.jit(layer.init)(jax.random.key(0), jnp.ones((1, 8, 8, 4)))
        >>> sorted(params["layer"])
        ['layers_0', 'layers_2', 'layers_3', 'layers_5']

    Source: He, Zhang, Ren & Sun 2016, "Identity mappings in deep residual networks", figure 4e.
    """
    convolutions = (
        _conv(features, 3, strides),
        batch_norm(),
        jax.nn.relu,
        _conv(features, 3),
    )
    if shortcut is None:
        return residual(serial(batch_norm(), jax.nn.relu, *convolutions))
    return serial(batch_norm(), jax.nn.relu, residual(serial(*convolutions), shortcut))


def resnet(classes: int = 1000, depth: int = 50, *, zero_init: bool = False, scan: bool = False) -> Serial:
    """A residual network for images of 224×224 pixels or so.

        conv 64@7×7/2 → max pool 3×3/2 → 4 stages of blocks, 64 to 512 channels wide → mean → dense

    Of 3 channels and 1000 classes, 11,689,512 parameters at depth 18, 21,797,672 at 34, 25,557,032 at 50.

    Arguments:
        classes: the number of outputs.
        depth: 18 or 34 (residual blocks), 50, 101 or 152 (bottleneck blocks, four times as wide).
        zero_init: whether the last scale of each block begins at 0.
        scan: whether the blocks of a stage after its first are one loop, which compiles faster.

    Returns:
        A `Serial` record, from [B, H, W, C] to [B, classes].

    Raises:
        ValueError, TypeError: another depth, a number of classes that is not a whole number ≥ 1.

    Example:
        >>> shapes, _ = jax.eval_shape(resnet(depth=18).init, jax.random.key(0), jnp.ones((1, 224, 224, 3)))
        >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
        11689512

    Source: He, Zhang, Ren & Sun 2016, table 1.
    """
    counts = BLOCKS[check_choice("resnet(depth)", depth, tuple(BLOCKS))]
    block, widening = (residual_block, 1) if depth < 50 else (bottleneck_block, 4)
    layers: list = [*_conv_norm(64, 7, 2), jax.nn.relu, max_pool(3, 2, padding=1)]
    for i, count in enumerate(counts):
        features, strides = 64 * 2**i * widening, 1 if i == 0 else 2
        project = projection(features, strides) if strides > 1 or widening > 1 else None
        first = block(features, strides, project, zero_init=zero_init)
        layers += _stage(first, block(features, zero_init=zero_init), count, scan)
    return serial(*layers, global_mean, dense(classes))


def cifar_resnet(
    classes: int = 10,
    depth: int = 20,
    *,
    width: int = 16,
    preactivation: bool = False,
    zero_init: bool = False,
    scan: bool = False,
) -> Serial:
    """A residual network for images of 32×32 pixels, of any depth 6n + 2.

        conv width@3×3 → n blocks of width → n of 2·width → n of 4·width → mean → dense

    At depth 20 it has 0.27 million parameters, at 110 1.7 million.

    Arguments:
        classes: the number of outputs.
        depth: 8, 14, 20, …
        width: channels of the first stage.
        preactivation: whether normalization and activation come before the convolutions.
        zero_init: whether the last scale of each block begins at 0 (without preactivation).
        scan: whether the blocks of a stage after its first are one loop, which compiles faster.

    Returns:
        A `Serial` record, from [B, H, W, C] to [B, classes].

    Raises:
        ValueError, TypeError: another depth, sizes that are not whole numbers ≥ 1.

    Example:
        >>> shapes, _ = jax.eval_shape(cifar_resnet().init, jax.random.key(0), jnp.ones((1, 32, 32, 3)))
        >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
        269722

    Source: He, Zhang, Ren & Sun 2016, section 4.2, with the shortcut without parameters (A).
    """
    count = (check_count("cifar_resnet(depth)", depth, 8) - 2) // 6
    if depth != 6 * count + 2:
        raise ValueError(f"cifar_resnet(depth) is {depth}, expected 6n + 2: 8, 14, 20, 32, 44, 56, 110.")
    width = check_count("cifar_resnet(width)", width, 1)

    def block(features: int, strides: int = 1, shortcut: Shortcut = None) -> Layer:
        if preactivation:
            return preactivation_block(features, strides, shortcut)
        return residual_block(features, strides, shortcut, zero_init=zero_init)

    layers: list = [_conv(width, 3)] if preactivation else [*_conv_norm(width, 3), jax.nn.relu]
    for i in range(3):
        features = width * 2**i
        first = block(features) if i == 0 else block(features, 2, every_second_pixel)
        layers += _stage(first, block(features), count, scan)
    last: list = [batch_norm(), jax.nn.relu] if preactivation else []
    return serial(*layers, *last, global_mean, dense(classes))


def projection(features: int, strides: int = 1) -> Serial:
    """A convolution of size 1, normalized: the way around a block that changes the shape."""
    return serial(*_conv_norm(features, 1, strides))


def every_second_pixel(x: jax.Array) -> jax.Array:
    """Every second pixel, and zeros for twice the channels: the way around without parameters."""
    return jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, x.shape[-1])))


def global_mean(x: jax.Array) -> jax.Array:
    """The mean over all pixels, [B, H, W, C] → [B, C]."""
    return jnp.mean(x, axis=(1, 2))


def _stage(first: Layer, block: Layer, count: int, scan: bool) -> list[Layer]:
    """`count` blocks, of which the first may change the shape."""
    if scan and count > 2:
        return [first, repeat(block, count - 1)]
    return [first, *[block] * (count - 1)]


def _conv(features: int, kernel_size: int, strides: int = 1) -> Layer:
    """Without a bias, and padded on all sides alike; a strided "SAME" would pad the end more."""
    pad = kernel_size // 2
    return conv(features, kernel_size, strides=strides, padding=pad, use_bias=False, kernel_init=KERNEL_INIT)


def _conv_norm(features: int, kernel_size: int, strides: int = 1, zero: bool = False) -> list[Layer]:
    scale_init = zeros() if zero else ones()
    return [_conv(features, kernel_size, strides), batch_norm(scale_init=scale_init)]

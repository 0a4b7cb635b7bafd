"""A fully convolutional network: a class for every pixel, of images of any size.

It goes down, halving the image at each stage, says there what it sees (a 1×1 convolution is a dense layer on
every pixel), and on the way up each stage adds what it saw itself, where edges are still sharp: the skips.
"""

from collections.abc import Callable, Sequence

import jax

from jaxopt_notes.initializers import he_normal, zeros
from jaxopt_notes.layers.branch import branch
from jaxopt_notes.layers.conv import conv
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.mlp import has_bias, hidden_layers
from jaxopt_notes.layers.pooling import max_pool
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.record import check_count

__all__ = ["fcn"]


def fcn(
    classes: int,
    channels: Sequence[int] = (32, 64, 128),
    *,
    convolutions: int = 2,
    batch_norm: bool | str = False,
    activation: str | Callable[[jax.Array], jax.Array] = "relu",
) -> Serial:
    """A fully convolutional network with skips.

        hᵢ = convs(pool(hᵢ₋₁))            sᵢ = conv₁(hᵢ) + upsample(sᵢ₊₁)            y = s₁

    Upsampling is bilinear, to the size of the skip, whatever it is. The convolutions of size 1 of all skips
    but the deepest begin at 0, so that training begins with the coarsest answer.

    Arguments:
        classes: the number of outputs for each pixel.
        channels: of the convolutions of each stage; a stage after the first begins with a pooling.
        convolutions: how many, of 3×3, each stage has.
        batch_norm: True or "before" normalizes before each activation, "after" after it.
        activation: by name or as a function.

    Returns:
        A `Serial` record, from [B, H, W, C] to [B, H, W, classes].

    Raises:
        ValueError, TypeError: no channels, or sizes that are not whole numbers ≥ 1.

    Example:
        >>> import jax.numpy as jnp
        >>> model = fcn(3, (4, 8))
        >>> params, state = jax.jit(model.init)(jax.random.key(0), jnp.ones((1, 9, 7, 1)))
        >>> jax.eval_shape(model.apply, params, state, jnp.ones((2, 12, 5, 1)))[0].shape
        (2, 12, 5, 3)

    Source: Long, Shelhamer & Darrell 2015, figure 3; there each skip comes from a pooling, and there is none
    at full size.
    """
    if not channels:
        raise ValueError("fcn(channels) is empty, expected the channels of each stage, such as (32, 64).")
    check_count("fcn(convolutions)", convolutions, 1)

    def stage(features: int) -> list[Layer]:
        one = conv(features, 3, use_bias=has_bias("fcn", batch_norm), kernel_init=he_normal())
        return [one, *hidden_layers(activation, batch_norm)] * convolutions

    below: Layer | None = None
    for features in reversed(channels):
        skip = conv(classes, 1, kernel_init=he_normal() if below is None else zeros())
        answer: Layer = (
            skip if below is None else branch(skip, serial(max_pool(2), below), merge=upsampled_sum)
        )
        below = serial(*stage(features), answer)
    assert isinstance(below, Serial)
    return below


def upsampled_sum(ys: tuple[jax.Array, ...]) -> jax.Array:
    """A fine answer and a coarse one, brought to its size."""
    fine, coarse = ys
    return fine + jax.image.resize(coarse, fine.shape, "bilinear").astype(fine.dtype)

"""The protocol of a layer: a record with `init` and `apply`, both pure.

    params, state = layer.init(key, x)
    y, state = layer.apply(params, state, x, key=key, train=True)

`x` carries a leading batch axis; for `init` a `jax.ShapeDtypeStruct` is enough, only its shape and
dtype are read. `params` is what an optimizer moves: a dict with Flax's names (`kernel`, `bias`,
`scale`), `{}` when there is nothing to learn. `state` is what a forward pass in training moves, such
as batch normalization's running statistics: a dict, or `()` when there is none. `train` is a Python
bool, structure and not a number, and `key` is needed only by what draws at random in training.

So a model is data. `jax.vmap` over the records gives a batch of models that differ in their dropout
rate, over `params` a batch of models that differ in their weights, over `key` a batch of seeds; and
`serial` makes one layer of several, which nests.

A layer may know more arguments of `init` and `apply`: arrays, such as the `mask` of a sequence. Containers
pass them down to the layers that name them.

Dtypes: a layer computes and answers in the dtype of its input, sums in at least float32, and makes
its parameters in at least float32. Casting the input to bfloat16 is thus all that mixed precision
takes. Integers (pixels, say) are read as the default floating dtype.
"""

from typing import Any, Protocol, runtime_checkable

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.dtypes import Tree, is_float
from jaxopt_notes.record import check_count

__all__ = ["Layer"]

Shaped = Any  # an array or a jax.ShapeDtypeStruct


@runtime_checkable
class Layer(Protocol):
    """Anything with `init` and `apply` as above."""

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]: ...

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]: ...


class WithoutParameters:
    """The `init` of a layer that has neither parameters nor state."""

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        return {}, ()


def floating(x: Any) -> jax.Array:
    """The input as a floating-point array: unchanged if it is one, else in the default float dtype."""
    x = jnp.asarray(x)
    return x if is_float(x) else x.astype(jnp.result_type(float))


def parameter_dtype(x: Shaped) -> np.dtype:
    """The dtype of the parameters of a layer fed with `x`: that of `x`, and at least float32."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.result_type(float)
    return np.promote_types(x.dtype, np.float32)


def along_last(vector: jax.Array, like: jax.Array) -> jax.Array:
    """A vector [C] shaped [1, …, 1, C], in the dtype of `like` [..., C], ready to broadcast."""
    return vector.astype(like.dtype).reshape((1,) * (like.ndim - 1) + (-1,))


def check_features(layer: str, x: Shaped, features: int) -> None:
    """Raise unless the last axis of x is as long as it was when the parameters were made.

    Broadcasting would otherwise let one feature stand for all, and answer in another shape.
    """
    chex.assert_axis_dimension(
        x,
        -1,
        features,
        custom_message=f"{layer}(x) has shape {tuple(x.shape)}, its parameters were made for {features} "
        "features, the last axis: give it such inputs, or call init again with these",
        exception_type=ValueError,
    )


def pair(where: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """Two counts ≥ 1, for height and width, from one or from two."""
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{where} is {value!r}, expected one whole number or two: (height, width).")
    height, width = (check_count(where, v, 1) for v in values)
    return height, width


def check_images(where: str, x: Shaped) -> None:
    """Raise unless x has the rank of a batch of images."""
    if len(x.shape) != 4:
        raise ValueError(
            f"{where} has shape {tuple(x.shape)}, expected [batch, height, width, channels]: "
            "reshape it, for instance x.reshape(-1, 8, 8, 1) for 8×8 pixels."
        )


def window_pads(
    where: str, x: Shaped, window: tuple[int, ...], strides: tuple[int, ...], padding: str
) -> list[tuple[int, int]]:
    """Pixels of padding before and after height and width, for a window moved over images."""
    if padding == "VALID" and any(size < k for size, k in zip(x.shape[1:3], window, strict=True)):
        raise ValueError(
            f"{where} is {tuple(window)}, expected at most the image's {tuple(x.shape[1:3])} pixels: "
            'take a smaller window, fewer layers, or padding="SAME".'
        )
    return lax.padtype_to_pads(x.shape[1:3], window, strides, padding)

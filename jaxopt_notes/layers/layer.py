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

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from jaxopt_notes.dtypes import Tree, compute_dtype, is_float
from jaxopt_notes.record import check_choice, check_count

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


def floating(x: ArrayLike) -> jax.Array:
    """The input as a floating-point array: unchanged if it is one, else in the default float dtype."""
    x = jnp.asarray(x)
    return x if is_float(x) else x.astype(jnp.result_type(float))


def parameter_dtype(x: Shaped) -> np.dtype:
    """The dtype of the parameters of a layer fed with `x`: that of `x` in JAX, and at least float32."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.result_type(float)
    return jax.dtypes.canonicalize_dtype(np.promote_types(x.dtype, np.float32))


def shaped_like(x: Shaped, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """An array of another shape, in the dtype of x as JAX has it: a float64 of NumPy's is a float32 there."""
    return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(x.dtype))


def kernel_and_bias(
    layer: Any, key: jax.Array, shape: tuple[int, ...], bias_shape: tuple[int, ...], dtype: DTypeLike | None
) -> dict[str, jax.Array]:
    """The parameters of a linear map, drawn by the initializers of its layer; the bias if it has one."""
    kernel_key, bias_key = jax.random.split(key)
    params = {"kernel": layer.kernel_init(kernel_key, shape, dtype)}
    if layer.use_bias:
        params["bias"] = layer.bias_init(bias_key, bias_shape, dtype)
    return params


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


def add_bias(y: jax.Array, params: Tree) -> jax.Array:
    """y [..., C] plus the bias [C] (or one that has more of the last axes), in at least float32."""
    if "bias" not in params:
        return y
    bias, wide = params["bias"], y.astype(compute_dtype(y))
    bias = bias.astype(wide.dtype).reshape((1,) * (y.ndim - bias.ndim) + bias.shape)
    return (wide + bias).astype(y.dtype)


SPACE = {1: "[batch, length, channels]", 2: "[batch, height, width, channels]"}
SPACE |= {3: "[batch, depth, height, width, channels]"}


def window_size(where: str, value: int | tuple[int, ...]) -> tuple[int, ...]:
    """The size of a window in 1, 2 or 3 dimensions; one number is that of a square in images."""
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if not 1 <= len(values) <= 3:
        raise ValueError(
            f"{where} is {value!r}, expected one whole number, or one for each of 1 to 3 dimensions."
        )
    return tuple(check_count(where, v, 1) for v in values)


def per_dimension(where: str, value: int | tuple[int, ...], rank: int, low: int = 1) -> tuple[int, ...]:
    """Counts, one for each dimension of space, from one for all or from as many."""
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * rank
    if len(values) != rank:
        raise ValueError(
            f"{where} is {value!r}, expected one whole number, or {rank}: one for each dimension."
        )
    return tuple(check_count(where, v, low) for v in values)


def check_padding(
    where: str, padding: Any, rank: int, choices: tuple = ("SAME", "VALID")
) -> str | tuple[tuple[int, int], ...]:
    """A padding by name, or as pairs (before, after) of pixels, one for each dimension of space."""
    if isinstance(padding, str):
        return check_choice(where, padding, choices)
    sides = [padding] * rank if isinstance(padding, int) else padding
    pads = [(p, p) if isinstance(p, int) else tuple(p) for p in sides]
    if len(pads) != rank or any(len(p) != 2 for p in pads):
        names = ", ".join(map(repr, choices))
        raise ValueError(f"{where} is {padding!r}, expected {names}, or {rank} pairs (before, after).")
    return tuple((check_count(where, before), check_count(where, after)) for before, after in pads)


def check_space(where: str, x: Shaped, rank: int) -> None:
    """Raise unless x has the rank of a batch of signals in `rank` dimensions."""
    if len(x.shape) != rank + 2:
        remedy = ", for instance x.reshape(-1, 8, 8, 1) for 8×8 pixels" if rank == 2 else ""
        raise ValueError(f"{where} has shape {tuple(x.shape)}, expected {SPACE[rank]}: reshape it{remedy}.")


def window_pads(
    where: str,
    x: Shaped,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str | Sequence[tuple[int, int]],
) -> tuple[tuple[int, int], ...]:
    """Pixels of padding before and after each dimension of space, for a window moved over x."""
    size = tuple(x.shape[1:-1])
    if isinstance(padding, str):
        pads = (
            [(0, 0)] * len(size)
            if padding == "VALID"
            else lax.padtype_to_pads(size, window, strides, padding)
        )
    else:
        pads = list(padding)
    full = tuple(n + sum(p) for n, p in zip(size, pads, strict=True))
    if any(n < k for n, k in zip(full, window, strict=True)):
        raise ValueError(
            f"{where} is {tuple(window)}, expected at most the image's {full} pixels: "
            'take a smaller window, fewer layers, or padding="SAME".'
        )
    return tuple((int(before), int(after)) for before, after in pads)

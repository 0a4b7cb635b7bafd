"""The convolution layer, in two dimensions, in two forms of one formula.

XLA compiles a convolution well for GPU and TPU, and well for a CPU outside a loop. Inside `lax.scan`,
where a training loop lives, its CPU backend falls back to a naive one: forward and gradient of a
3×3 or 5×5 convolution of 16 to 64 channels took 14 to 30 times as long there as outside. Matrix products
have no such cliff. So `conv2d` is `conv2d_native` on GPU and TPU and `conv2d_im2col` on CPU: the
shifted images that a kernel sees, side by side as channels (im2col), times the kernel as a matrix.
Inside a scan that took 0.03 to 0.07 of the native form's time (0.2 to 0.3 for a single input channel).
Outside it took 0.4 to 1.7 of it forward and backward, and forward alone up to 5 times as long: whoever
only evaluates large images on a CPU is better served by `conv2d_native`. One product per kernel row,
summed, takes 0.5 to 1.8 of im2col's time, longest where images and channels are few, as in populations
of small networks. (Two cores, float32, two runs, neither on an idle machine: orders of magnitude.)

`lax.platform_dependent` chooses while compiling, for the platform that the program is compiled for.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers import check_initializer, lecun_normal, zeros
from jaxopt_notes.layers.layer import (
    Shaped,
    along_last,
    check_features,
    check_images,
    floating,
    pair,
    parameter_dtype,
    window_pads,
)
from jaxopt_notes.record import check_choice, check_count, record, static

__all__ = ["Conv", "conv", "conv2d", "conv2d_im2col", "conv2d_native"]

Pads = Sequence[tuple[int, int]]


@record
class Conv:
    """See `conv`."""

    features: int = static()
    kernel_size: tuple[int, int] = static()
    strides: tuple[int, int] = static()
    padding: str = static()
    use_bias: bool = static()
    kernel_init: Any
    bias_init: Any

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        check_images("conv(x)", x)
        kernel_key, bias_key = jax.random.split(key)
        dtype = parameter_dtype(x)
        shape = (*self.kernel_size, x.shape[-1], self.features)
        params = {"kernel": self.kernel_init(kernel_key, shape, dtype)}
        if self.use_bias:
            params["bias"] = self.bias_init(bias_key, (self.features,), dtype)
        return params, ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_images("conv(x)", x)
        x = floating(x)
        check_features("conv", x, params["kernel"].shape[2])
        y = conv2d(x, params["kernel"], self.strides, self.padding)
        if "bias" in params:
            wide = y.astype(compute_dtype(y))
            y = (wide + along_last(params["bias"], wide)).astype(y.dtype)
        return y, state


def conv2d(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int] = (1, 1), padding: str = "SAME"
) -> jax.Array:
    """The convolution of images x [B, H, W, I] with kernel [h, w, I, O], in the form best for the platform.

    As everywhere in deep learning it is a correlation: the kernel is not flipped. Multiplied in the
    dtype of x and returned in it.

    Example:
        >>> image = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> conv2d(image, jnp.ones((2, 2, 1, 1)), padding="VALID")[0, :, :, 0]
        Array([[ 8., 12.],
               [20., 24.]], dtype=float32)
    """
    pads = window_pads("conv(kernel_size)", x, kernel.shape[:2], strides, padding)
    return lax.platform_dependent(
        x,
        kernel.astype(x.dtype),
        cpu=lambda x, kernel: conv2d_im2col(x, kernel, strides, pads),
        default=lambda x, kernel: conv2d_native(x, kernel, strides, pads),
    )


def conv2d_native(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads) -> jax.Array:
    """The convolution as XLA's own operation; accelerators sum it in float32 whatever the dtype.

    Example:
        >>> image = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> conv2d_native(image, jnp.ones((3, 3, 1, 1)), (1, 1), ((0, 0), (0, 0))).ravel()
        Array([36.], dtype=float32)
    """
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def conv2d_im2col(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads) -> jax.Array:
    """The convolution as one matrix product: [B·H·W, h·w·I] times [h·w·I, O], summed in at least float32.

    Example:
        >>> image = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> conv2d_im2col(image, jnp.ones((3, 3, 1, 1)), (1, 1), ((0, 0), (0, 0))).ravel()
        Array([36.], dtype=float32)
    """
    h, w, inputs, outputs = kernel.shape
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    high, wide = (
        (size - k) // stride + 1 for size, k, stride in zip(x.shape[1:3], (h, w), strides, strict=True)
    )
    rows, columns = (high - 1) * strides[0] + 1, (wide - 1) * strides[1] + 1
    patches = [
        x[:, i : i + rows : strides[0], j : j + columns : strides[1], :] for i in range(h) for j in range(w)
    ]
    matrix = jnp.concatenate(patches, axis=-1).reshape(-1, h * w * inputs)
    y = jnp.matmul(matrix, kernel.reshape(-1, outputs), preferred_element_type=compute_dtype(x))
    return y.reshape(x.shape[0], high, wide, outputs).astype(x.dtype)


def conv(
    features: int,
    kernel_size: int | tuple[int, int] = 3,
    *,
    strides: int | tuple[int, int] = 1,
    padding: str = "SAME",
    use_bias: bool = True,
    kernel_init: Any = lecun_normal(),
    bias_init: Any = zeros(),
) -> Conv:
    """A convolution of images.

        y[b, p, q, o] = Σ_{i,j,c} x[b, s·p + i, t·q + j, c]·kernel[i, j, c, o] + bias[o]

    Arguments:
        features: O, the number of output channels, ≥ 1.
        kernel_size: (h, w) in pixels, or one number for both.
        strides: (s, t) in pixels, or one number for both.
        padding: "SAME" pads with zeros so that the output has ⌈H/s⌉×⌈W/t⌉ pixels; "VALID" pads nothing.
        use_bias: whether there is a bias; batch normalization right after makes it redundant.
        kernel_init: initializer of the kernel, called `(key, (h, w, I, O), dtype)`.
        bias_init: initializer of the bias, called `(key, (O,), dtype)`.

    Returns:
        A `Conv` record, from [B, H, W, I] to [B, H', W', O]; params {"kernel": [h, w, I, O], "bias": [O]}.

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1, an unknown padding; in `init` and
            `apply`, an input that is not of rank 4.

    Example:
        >>> layer = conv(16)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 8, 8, 1)))
        >>> y, state = layer.apply(params, state, jnp.ones((2, 8, 8, 1)))
        >>> y.shape, params["kernel"].shape
        ((2, 8, 8, 16), (3, 3, 1, 16))

    Source: LeCun et al. 1989; Goodfellow, Bengio & Courville 2016, section 9.5.

    Elsewhere: Flax's `Conv` has the same names, shapes and paddings; torch's is NCHW with kernels OIHW, and
    its strided "SAME" is not offered.
    """
    return Conv(
        check_count("conv(features)", features, 1),
        pair("conv(kernel_size)", kernel_size),
        pair("conv(strides)", strides),
        check_choice("conv(padding)", padding, ("SAME", "VALID")),
        use_bias,
        check_initializer("conv(kernel_init)", kernel_init),
        check_initializer("conv(bias_init)", bias_init),
    )

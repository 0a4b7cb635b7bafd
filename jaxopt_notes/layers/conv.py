"""The convolution layer, in one, two or three dimensions.

`conv` makes the layer, whose dimension is the length of its kernel size; `depthwise_conv` gives every
channel kernels of its own. `convolution` is the formula, for arrays; `conv_forms` holds the forms of it, one
matrix product and XLA's own operation, and `conv_primitive` which of them is compiled where.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import check_initializer, lecun_normal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.conv_forms import Geometry, im2col, native
from jaxopt_notes.layers.conv_primitive import MAX_PATCH_BYTES, convolve
from jaxopt_notes.layers.layer import (
    Shaped,
    add_bias,
    check_features,
    check_padding,
    check_space,
    floating,
    kernel_and_bias,
    parameter_dtype,
    per_dimension,
    window_pads,
    window_size,
)
from jaxopt_notes.record import check_count, record, replace, static

__all__ = ["Conv", "conv", "conv2d", "conv2d_im2col", "conv2d_native", "convolution", "depthwise_conv"]

PADDINGS = ("SAME", "VALID", "CIRCULAR")
Padding = str | Sequence[tuple[int, int]]


@record
class Conv:
    """See `conv`."""

    features: int = static()  # of every input channel where there are no groups
    kernel_size: tuple[int, ...] = static()
    strides: tuple[int, ...] = static()
    padding: str | tuple[tuple[int, int], ...] = static()
    dilation: tuple[int, ...] = static()
    groups: int | None = static()  # None: one for each input channel
    use_bias: bool = static()
    kernel_init: Initializer
    bias_init: Initializer
    max_patch_bytes: int = static()

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        check_space("conv(x)", x, len(self.kernel_size))
        inputs = x.shape[-1]
        groups = self.groups or inputs
        features = self.features if self.groups else self.features * inputs
        if inputs % groups:
            raise ValueError(f"conv(groups) is {groups}, expected a divisor of the {inputs} channels.")
        shape = (*self.kernel_size, inputs // groups, features)
        return kernel_and_bias(self, key, shape, shape[-1:], parameter_dtype(x)), ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_space("conv(x)", x, len(self.kernel_size))
        x, kernel = floating(x), params["kernel"]
        groups = self.groups or kernel.shape[-1] // self.features
        check_features("conv", x, kernel.shape[-2] * groups)
        y = convolution(x, kernel, self.strides, self.padding, self.dilation, groups, self.max_patch_bytes)
        return add_bias(y, params), state


def convolution(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | tuple[int, ...] = 1,
    padding: Padding = "SAME",
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    max_patch_bytes: int = MAX_PATCH_BYTES,
) -> jax.Array:
    """The convolution of x [B, *size, I] with a kernel [*window, I/groups, O], in the platform's best form.

    As everywhere in deep learning it is a correlation: the kernel is not flipped. Multiplied in the
    dtype of x and returned in it. The arguments are those of `conv`.

    Example:
        >>> signal = jnp.arange(5.0).reshape(1, 5, 1)
        >>> convolution(signal, jnp.ones((3, 1, 1)), padding="CIRCULAR").ravel()
        Array([5., 3., 6., 9., 7.], dtype=float32)
    """
    x, geometry = placed("conv", x, kernel.shape[:-2], strides, padding, dilation, groups)
    return convolve(x, kernel.astype(x.dtype), geometry, max_patch_bytes)


def placed(
    name: str,
    x: jax.Array,
    window: tuple[int, ...],
    strides: int | tuple[int, ...],
    padding: Padding,
    dilation: int | tuple[int, ...],
    groups: int = 1,
) -> tuple[jax.Array, Geometry]:
    """The image that a window moves over, which circular padding has made larger, and all sizes."""
    strides = per_dimension(f"{name}(strides)", strides, len(window))
    dilation = per_dimension(f"{name}(dilation)", dilation, len(window))
    if padding == "CIRCULAR":
        x = jnp.pad(x, ((0, 0), *circle(window, dilation), (0, 0)), mode="wrap")
        padding = "VALID"
    return x, geometry_of(f"{name}(kernel_size)", x, window, strides, padding, dilation, groups)


def geometry_of(
    where: str,
    x: Shaped,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    groups: int,
) -> Geometry:
    """The sizes of a convolution of x, which a circular padding has already made larger."""
    span = spans(window, dilation)
    pads = window_pads(where, x, span, strides, padding)
    return Geometry(tuple(x.shape[1:-1]), tuple(window), strides, pads, dilation, groups)


def spans(window: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """How many pixels a dilated kernel reaches over."""
    return tuple((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True))


def circle(window: tuple[int, ...], dilation: tuple[int, ...]) -> list[tuple[int, int]]:
    """Pixels of circular padding: as many windows as there are pixels, the middle of each at its pixel."""
    return [((k - 1) // 2, k // 2) for k in spans(window, dilation)]


def conv2d(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int] = (1, 1), padding: Padding = "SAME"
) -> jax.Array:
    """The convolution of images x [B, H, W, I] with a kernel [h, w, I, O]: `convolution` in two dimensions.

    Example:
        >>> image = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> conv2d(image, jnp.ones((2, 2, 1, 1)), padding="VALID")[0, :, :, 0]
        Array([[ 8., 12.],
               [20., 24.]], dtype=float32)
    """
    return convolution(x, kernel, strides, padding)


def conv2d_native(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Sequence[tuple[int, int]]
) -> jax.Array:
    """The convolution of images as XLA's own operation; accelerators sum it in float32 whatever the dtype.

    Example:
        >>> image = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> conv2d_native(image, jnp.ones((3, 3, 1, 1)), (1, 1), ((0, 0), (0, 0))).ravel()
        Array([36.], dtype=float32)
    """
    return native(x, kernel, geometry_of("conv(kernel_size)", x, kernel.shape[:2], strides, pads, (1, 1), 1))


def conv2d_im2col(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Sequence[tuple[int, int]]
) -> jax.Array:
    """The convolution of images as one product: [B·H·W, h·w·I] times [h·w·I, O], summed in at least float32.

    Example:
        >>> image = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> conv2d_im2col(image, jnp.ones((3, 3, 1, 1)), (1, 1), ((0, 0), (0, 0))).ravel()
        Array([36.], dtype=float32)
    """
    return im2col(x, kernel, geometry_of("conv(kernel_size)", x, kernel.shape[:2], strides, pads, (1, 1), 1))


def conv(
    features: int,
    kernel_size: int | tuple[int, ...] = 3,
    *,
    strides: int | tuple[int, ...] = 1,
    padding: int | Padding = "SAME",
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
    max_patch_bytes: int = MAX_PATCH_BYTES,
) -> Conv:
    """A convolution of images, of signals or of volumes.

        y[b, p, o] = Σ_{t,i} x[b, s·p + d·t, i]·kernel[t, i, o] + bias[o]

    with p, t, s and d of one number for each dimension of space.

    Arguments:
        features: O, the number of output channels, ≥ 1.
        kernel_size: (k,) for signals [B, L, I], (h, w) for images [B, H, W, I], (d, h, w) for volumes
            [B, D, H, W, I]; one number k is (k, k).
        strides: s in pixels, for each dimension or one number for all.
        padding: "SAME" pads with zeros so that the output has ⌈H/s⌉×⌈W/t⌉ pixels; "VALID" pads nothing;
            "CIRCULAR" wraps around, ((k−1)/2, k/2) pixels before and after, rounded down; or pairs (before,
            after) of zeros, one for each dimension; or one number for all sides.
        dilation: d, the distance in pixels of neighbours in the kernel.
        groups: the channels are cut into so many groups, and each group of outputs sees one of inputs.
        use_bias: whether there is a bias; batch normalization right after makes it redundant.
        kernel_init: initializer of the kernel, called `(key, (*kernel_size, I/groups, O), dtype)`.
        bias_init: initializer of the bias, called `(key, (O,), dtype)`.
        max_patch_bytes: where kernels are mapped, a GPU multiplies patches of the images, which take
            h·w times their memory: so many bytes at most, else fewer members at once.

    Returns:
        A `Conv` record, from [B, H, W, I] to [B, H', W', O]; params {"kernel": [h, w, I/groups, O],
        "bias": [O]}.

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1, an unknown padding, groups that do not
            divide the channels; in `init` and `apply`, an input of another rank.

    Example:
        >>> layer = conv(16)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 8, 8, 1)))
        >>> y, state = layer.apply(params, state, jnp.ones((2, 8, 8, 1)))
        >>> y.shape, params["kernel"].shape
        ((2, 8, 8, 16), (3, 3, 1, 16))

    Source: LeCun et al. 1989; Goodfellow, Bengio & Courville 2016, section 9.5. Dilation: Yu & Koltun 2016.
    Groups: Krizhevsky et al. 2012.

    Elsewhere: Flax's `Conv` has the same shapes and paddings, and calls dilation `kernel_dilation` and groups
    `feature_group_count`; torch's is NCHW with kernels OIHW, its strided "SAME" is not offered, and
    "circular" there wraps as many pixels as the number given as padding.
    """
    window = window_size("conv(kernel_size)", kernel_size)
    features, groups = check_count("conv(features)", features, 1), check_count("conv(groups)", groups, 1)
    if features % groups:
        raise ValueError(f"conv(groups) is {groups}, expected a divisor of the {features} features.")
    return Conv(
        features,
        window,
        per_dimension("conv(strides)", strides, len(window)),
        check_padding("conv(padding)", padding, len(window), PADDINGS),
        per_dimension("conv(dilation)", dilation, len(window)),
        groups,
        use_bias,
        check_initializer("conv(kernel_init)", kernel_init),
        check_initializer("conv(bias_init)", bias_init),
        check_count("conv(max_patch_bytes)", max_patch_bytes),
    )


def depthwise_conv(
    kernel_size: int | tuple[int, ...] = 3,
    multiplier: int = 1,
    *,
    strides: int | tuple[int, ...] = 1,
    padding: int | Padding = "SAME",
    dilation: int | tuple[int, ...] = 1,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
) -> Conv:
    """A convolution of every channel by itself: `conv` with as many groups as there are channels.

        y[b, p, i·m + j] = Σ_t x[b, s·p + d·t, i]·kernel[t, 0, i·m + j] + bias[i·m + j]

    Before a `conv(features, 1)` it makes a separable convolution.

    Arguments:
        kernel_size, strides, padding, dilation, use_bias, kernel_init, bias_init: as in `conv`.
        multiplier: m, the number of outputs of every channel, ≥ 1.

    Returns:
        A `Conv` record, from [B, H, W, I] to [B, H', W', I·m]; params {"kernel": [h, w, 1, I·m],
        "bias": [I·m]}.

    Raises:
        As `conv`.

    Example:
        >>> layer = depthwise_conv(3, 2)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 8, 8, 5)))
        >>> layer.apply(params, state, jnp.ones((2, 8, 8, 5)))[0].shape
        (2, 8, 8, 10)

    Source: Chollet 2017.

    Elsewhere: torch's `Conv2d(I, I·m, k, groups=I)`; Keras' `DepthwiseConv2D(depth_multiplier=m)`.
    """
    one = conv(
        multiplier,
        kernel_size,
        strides=strides,
        padding=padding,
        dilation=dilation,
        use_bias=use_bias,
        kernel_init=kernel_init,
        bias_init=bias_init,
    )
    return replace(one, groups=None)

"""Transposed convolution: the exact adjoint of a convolution, also called deconvolution.

As a matrix, a convolution multiplies the pixels of an image; this layer multiplies by the transposed matrix.
For images x and y of fitting sizes

    ⟨convolution(x, kernel), y⟩ = ⟨x, convolution_transpose(y, kernel)⟩

with the same kernel, strides, padding, dilation and groups. It is what the gradient of a convolution is,
and the same primitive does it. With strides s it makes images s times as large: each pixel paints the kernel.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import check_initializer, lecun_normal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.conv import PADDINGS, Padding, circle, geometry_of, spans
from jaxopt_notes.layers.conv_forms import Pads
from jaxopt_notes.layers.conv_primitive import MAX_PATCH_BYTES, convolve_transpose
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
    window_size,
)
from jaxopt_notes.record import check_count, record, static

__all__ = ["ConvTranspose", "conv_transpose", "convolution_transpose"]


@record
class ConvTranspose:
    """See `conv_transpose`."""

    features: int = static()
    kernel_size: tuple[int, ...] = static()
    strides: tuple[int, ...] = static()
    padding: str | tuple[tuple[int, int], ...] = static()
    dilation: tuple[int, ...] = static()
    groups: int = static()
    output_padding: tuple[int, ...] = static()
    use_bias: bool = static()
    kernel_init: Initializer
    bias_init: Initializer
    max_patch_bytes: int = static()

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        check_space("conv_transpose(x)", x, len(self.kernel_size))
        inputs = x.shape[-1]
        if inputs % self.groups:
            raise ValueError(
                f"conv_transpose(groups) is {self.groups}, expected a divisor of the {inputs} channels."
            )
        shape = (*self.kernel_size, inputs, self.features // self.groups)
        params = kernel_and_bias(self, key, shape, (self.features,), parameter_dtype(x))
        return {**params, "kernel": jnp.swapaxes(params["kernel"], -1, -2)}, ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_space("conv_transpose(x)", x, len(self.kernel_size))
        x, kernel = floating(x), params["kernel"]
        check_features("conv_transpose", x, kernel.shape[-1])
        y = convolution_transpose(
            x,
            kernel,
            self.strides,
            self.padding,
            self.dilation,
            self.groups,
            self.output_padding,
            self.max_patch_bytes,
        )
        return add_bias(y, params), state


def convolution_transpose(
    y: jax.Array,
    kernel: jax.Array,
    strides: int | tuple[int, ...] = 1,
    padding: Padding = "SAME",
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    output_padding: int | tuple[int, ...] = 0,
    max_patch_bytes: int = MAX_PATCH_BYTES,
) -> jax.Array:
    """The adjoint of `convolution` with a kernel [*window, O/groups, I]: from [B, *size, I] to [B, *out, O].

    The arguments are those of `conv_transpose`.

    Example:
        >>> one = jnp.ones((1, 1, 1, 1))
        >>> kernel = jnp.arange(4.0).reshape(2, 2, 1, 1)
        >>> convolution_transpose(one, kernel, padding="VALID")[0, :, :, 0]
        Array([[0., 1.],
               [2., 3.]], dtype=float32)
    """
    rank, window = kernel.ndim - 2, kernel.shape[:-2]
    strides = per_dimension("conv_transpose(strides)", strides, rank)
    dilation = per_dimension("conv_transpose(dilation)", dilation, rank)
    more = per_dimension("conv_transpose(output_padding)", output_padding, rank, 0)
    wrapped: Pads = [(0, 0)] * rank
    if isinstance(padding, str) and padding != "VALID":
        # The image that has as many windows as s goes into it.
        size = tuple(n * s for n, s in zip(y.shape[1:-1], strides, strict=True))
        if padding == "CIRCULAR":
            wrapped, padding = circle(window, dilation), "VALID"
    else:
        cut: Pads = wrapped if isinstance(padding, str) else padding
        size = tuple(
            (n - 1) * s + span - sum(pads) + m
            for n, s, span, pads, m in zip(
                y.shape[1:-1], strides, spans(window, dilation), cut, more, strict=True
            )
        )
    wide = tuple(n + sum(pads) for n, pads in zip(size, wrapped, strict=True))
    image = jax.ShapeDtypeStruct((y.shape[0], *wide, groups * kernel.shape[-2]), y.dtype)
    geometry = geometry_of("conv_transpose(kernel_size)", image, window, strides, padding, dilation, groups)
    x = convolve_transpose(y, kernel.astype(y.dtype), geometry, max_patch_bytes)
    return _unwrap(x, wrapped)


def _unwrap(x: jax.Array, wrapped: Pads) -> jax.Array:
    """The adjoint of circular padding: what it copied to the borders is added where it came from."""
    if not any(map(any, wrapped)):
        return x
    size = tuple(n - sum(pads) for n, pads in zip(x.shape[1:-1], wrapped, strict=True))
    image = jax.typeof(x).update(shape=(x.shape[0], *size, x.shape[-1]))
    pads = ((0, 0), *wrapped, (0, 0))
    return jax.linear_transpose(lambda image: jnp.pad(image, pads, mode="wrap"), image)(x)[0]


def conv_transpose(
    features: int,
    kernel_size: int | tuple[int, ...] = 3,
    *,
    strides: int | tuple[int, ...] = 1,
    padding: int | Padding = "SAME",
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    output_padding: int | tuple[int, ...] = 0,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
    max_patch_bytes: int = MAX_PATCH_BYTES,
) -> ConvTranspose:
    """A transposed convolution: the exact adjoint of a convolution, which makes images larger by its strides.

        y[b, s·p + d·t, o] += Σ_i x[b, p, i]·kernel[t, o, i]      for all p and t; then + bias[o]

    Arguments:
        features: O, the number of output channels, ≥ 1.
        kernel_size, strides, dilation, groups: of the convolution that this is the adjoint of, as in `conv`.
        padding: of that convolution, too: "SAME" and "CIRCULAR" make s·H×s·W pixels, "VALID" makes
            s·(H−1) + d·(h−1) + 1, and pairs (before, after) cut so many pixels off that.
        output_padding: so many pixels more at the end, for "VALID" and pairs: images of s sizes have the
            same number of windows, and this is the adjoint for one of them. From 0 to s − 1.
        use_bias: whether there is a bias.
        kernel_init: initializer of the kernel, called `(key, (h, w, I, O/groups), dtype)`; its last two axes
            are then exchanged.
        bias_init: initializer of the bias, called `(key, (O,), dtype)`.
        max_patch_bytes: as in `conv`.

    Returns:
        A `ConvTranspose` record, from [B, H, W, I] to [B, H', W', O]; params {"kernel": [h, w, O/groups, I],
        "bias": [O]}.

    Raises:
        TypeError, ValueError: as `conv`; an output padding that is not below the strides.

    Example:
        >>> layer = conv_transpose(4, 3, strides=2)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 8, 8, 16)))
        >>> layer.apply(params, state, jnp.ones((2, 8, 8, 16)))[0].shape
        (2, 16, 16, 4)

    Source: Zeiler et al. 2010; Dumoulin & Visin 2016, section 4.

    Elsewhere: torch's `ConvTranspose2d` is the same, its padding p is the pairs ((p, p), (p, p)) here. Flax's
    `ConvTranspose` is it with `transpose_kernel=True`; without, its kernel is [h, w, I, O] and flipped.
    """
    window = window_size("conv_transpose(kernel_size)", kernel_size)
    rank, groups = len(window), check_count("conv_transpose(groups)", groups, 1)
    features = check_count("conv_transpose(features)", features, 1)
    strides = per_dimension("conv_transpose(strides)", strides, rank)
    more = per_dimension("conv_transpose(output_padding)", output_padding, rank, 0)
    if features % groups:
        raise ValueError(
            f"conv_transpose(groups) is {groups}, expected a divisor of the {features} features."
        )
    if any(m >= s for m, s in zip(more, strides, strict=True)) and any(more):
        raise ValueError(f"conv_transpose(output_padding) is {output_padding}, expected less than {strides}.")
    if any(more) and padding in ("SAME", "CIRCULAR"):
        raise ValueError(f"conv_transpose(output_padding) is {output_padding}, expected 0 with {padding!r}.")
    return ConvTranspose(
        features,
        window,
        strides,
        check_padding("conv_transpose(padding)", padding, rank, PADDINGS),
        per_dimension("conv_transpose(dilation)", dilation, rank),
        groups,
        more,
        use_bias,
        check_initializer("conv_transpose(kernel_init)", kernel_init),
        check_initializer("conv_transpose(bias_init)", bias_init),
        check_count("conv_transpose(max_patch_bytes)", max_patch_bytes),
    )

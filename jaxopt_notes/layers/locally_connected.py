"""A locally connected layer: a convolution whose kernel is another one at every place.

It sees what a convolution sees and shares no weights between places: for images whose parts mean different
things, such as aligned faces. Its weights are as many as a convolution's times the number of output pixels,
and it is one matrix product for each of these.
"""

import math

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers import check_initializer, lecun_normal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.conv import PADDINGS, Padding, placed
from jaxopt_notes.layers.conv_forms import patches
from jaxopt_notes.layers.layer import (
    Shaped,
    add_bias,
    check_features,
    check_padding,
    check_space,
    floating,
    parameter_dtype,
    per_dimension,
    window_size,
)
from jaxopt_notes.record import check_count, record, static

__all__ = ["LocallyConnected", "local_convolution", "locally_connected"]


@record
class LocallyConnected:
    """See `locally_connected`."""

    features: int = static()
    kernel_size: tuple[int, ...] = static()
    strides: tuple[int, ...] = static()
    padding: str | tuple[tuple[int, int], ...] = static()
    dilation: tuple[int, ...] = static()
    use_bias: bool = static()
    kernel_init: Initializer
    bias_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        check_space("locally_connected(x)", x, len(self.kernel_size))
        kernel_key, bias_key = jax.random.split(key)
        dtype = parameter_dtype(x)

        def size(x: jax.Array) -> jax.Array:
            return jnp.zeros(placed("locally_connected", x, *self._how())[1].out)

        out = jax.eval_shape(size, jax.ShapeDtypeStruct(x.shape, dtype)).shape
        shape = (*self.kernel_size, x.shape[-1], self.features)
        keys = jax.random.split(kernel_key, math.prod(out))  # a kernel for each place, of the variance of one
        draw = jax.vmap(lambda key: self.kernel_init(key, shape, dtype))
        params = {"kernel": draw(keys).reshape(*out, *shape)}
        if self.use_bias:
            params["bias"] = self.bias_init(bias_key, (*out, self.features), dtype)
        return params, ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_space("locally_connected(x)", x, len(self.kernel_size))
        x, kernel = floating(x), params["kernel"]
        check_features("locally_connected", x, kernel.shape[-2])
        y = local_convolution(x, kernel, *self._how()[1:])
        return add_bias(y, params), state

    def _how(self) -> tuple:
        return self.kernel_size, self.strides, self.padding, self.dilation


def local_convolution(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | tuple[int, ...] = 1,
    padding: Padding = "SAME",
    dilation: int | tuple[int, ...] = 1,
) -> jax.Array:
    """The convolution of x [B, *size, I] with a kernel [*out, *window, I, O] of its own at every place.

    Multiplied in the dtype of x, summed in at least float32. The arguments are those of `locally_connected`.

    Example:
        >>> signal = jnp.arange(3.0).reshape(1, 3, 1)
        >>> kernel = jnp.array([[1.0, 0.0], [0.0, 10.0]]).reshape(2, 2, 1, 1)
        >>> local_convolution(signal, kernel, padding="VALID").ravel()
        Array([ 0., 20.], dtype=float32)
    """
    rank = (kernel.ndim - 2) // 2
    out, window = kernel.shape[:rank], kernel.shape[rank:-2]
    x, geometry = placed("locally_connected", x, window, strides, padding, dilation)
    if geometry.out != out:
        raise ValueError(
            f"locally_connected(x) gives {geometry.out} outputs, its kernel has {out}: give it inputs of the "
            "size it was made for, or call init again with these."
        )
    inputs, outputs = kernel.shape[-2:]
    seen = patches(x, geometry).reshape(x.shape[0], math.prod(out), -1)
    matrices = kernel.astype(x.dtype).reshape(math.prod(out), math.prod(window) * inputs, outputs)
    y = jnp.einsum("bpi,pio->bpo", seen, matrices, preferred_element_type=compute_dtype(x))
    return y.reshape(x.shape[0], *out, outputs).astype(x.dtype)


def locally_connected(
    features: int,
    kernel_size: int | tuple[int, ...] = 3,
    *,
    strides: int | tuple[int, ...] = 1,
    padding: int | Padding = "SAME",
    dilation: int | tuple[int, ...] = 1,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
) -> LocallyConnected:
    """A convolution that shares no weights between places.

        y[b, p, o] = Σ_{t,i} x[b, s·p + d·t, i]·kernel[p, t, i, o] + bias[p, o]

    Arguments:
        features, kernel_size, strides, padding, dilation, use_bias: as in `conv`.
        kernel_init: initializer of the kernel of one place, called `(key, (*kernel_size, I, O), dtype)`.
        bias_init: initializer of all biases, called `(key, (*out, O), dtype)`.

    Returns:
        A `LocallyConnected` record, from [B, H, W, I] to [B, H', W', O]; params
        {"kernel": [H', W', h, w, I, O], "bias": [H', W', O]}.

    Raises:
        TypeError, ValueError: as `conv`; in `apply`, an image of another size than that of `init`.

    Example:
        >>> layer = locally_connected(4)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 8, 8, 1)))
        >>> layer.apply(params, state, jnp.ones((2, 8, 8, 1)))[0].shape, params["kernel"].shape
        ((2, 8, 8, 4), (8, 8, 3, 3, 1, 4))

    Source: LeCun 1989; Taigman et al. 2014 (DeepFace).

    Elsewhere: Flax's `ConvLocal` has kernels [H', W', I·h·w, O], channels before places; torch has none.
    """
    window = window_size("locally_connected(kernel_size)", kernel_size)
    return LocallyConnected(
        check_count("locally_connected(features)", features, 1),
        window,
        per_dimension("locally_connected(strides)", strides, len(window)),
        check_padding("locally_connected(padding)", padding, len(window), PADDINGS),
        per_dimension("locally_connected(dilation)", dilation, len(window)),
        use_bias,
        check_initializer("locally_connected(kernel_init)", kernel_init),
        check_initializer("locally_connected(bias_init)", bias_init),
    )

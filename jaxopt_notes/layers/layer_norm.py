"""Layer normalization: each sample is standardized over its own features, then scaled and shifted.

It is batch normalization with the axes exchanged, made of the same two functions, so it needs neither
a batch nor running statistics, and training and evaluation are the same.
"""

from collections.abc import Sequence

import jax

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers import check_initializer, ones, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.layer import Shaped, floating
from jaxopt_notes.layers.normalization import as_axes, check_axes, moments, normalize, parameters
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["LayerNorm", "layer_norm"]


@record
class LayerNorm:
    """See `layer_norm`."""

    eps: Number
    axis: tuple[int, ...] = static()
    use_scale: bool = static()
    use_bias: bool = static()
    scale_init: Initializer
    bias_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        return parameters(self, key, x, self.axis), ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_axes("layer_norm", x, params, self.axis)
        wide = x.astype(compute_dtype(x))
        scale, bias = params.get("scale"), params.get("bias")
        y = normalize(wide, *moments(wide, self.axis), self.eps, scale, bias, self.axis)
        return y.astype(x.dtype), state


def layer_norm(
    eps: Number = 1e-5,
    *,
    axis: int | Sequence[int] = -1,
    use_scale: bool = True,
    use_bias: bool = True,
    scale_init: Initializer = ones(),
    bias_init: Initializer = zeros(),
) -> LayerNorm:
    """Layer normalization over the last axis, or over several.

        μ = mean(x), σ² = mean((x − μ)²)      y = γ·(x − μ)/√(σ² + eps) + β

    Statistics are float32 for inputs of lower precision.

    Arguments:
        eps: added inside the root, > 0.
        axis: what the statistics are taken over, and γ and β have: one axis or several, not 0; the last
            three for whole images.
        use_scale, use_bias: whether there is γ, and β.
        scale_init, bias_init: initializers of both.

    Returns:
        A `LayerNorm` record; params {"scale": γ, "bias": β}, of the shape of these axes: [C].

    Raises:
        ValueError: eps is not positive; the batch axis among the axes.
        TypeError: an argument is not a number or an initializer.

    Example:
        >>> import jax.numpy as jnp
        >>> layer = layer_norm()
        >>> x = jnp.array([[1.0, 3.0]])
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> jnp.round(layer.apply(params, state, x)[0], 3)
        Array([[-1.,  1.]], dtype=float32)

    Source: Ba, Kiros & Hinton 2016, eq. 4.

    Elsewhere: torch has the same eps, and the shape of the last axes for our axis; Flax has 1e-6 and takes
    E[x²] − E[x]² for the variance unless `use_fast_variance=False`; Keras has 1e-3.
    """
    return LayerNorm(
        check_number("layer_norm(eps)", eps, "(0, inf)", "the usual value is 1e-5"),
        as_axes("layer_norm(axis)", axis),
        use_scale,
        use_bias,
        check_initializer("layer_norm(scale_init)", scale_init),
        check_initializer("layer_norm(bias_init)", bias_init),
    )

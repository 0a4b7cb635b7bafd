"""Weight standardization: the weights of each output have mean 0 and variance 1 in every forward pass.

It goes with group normalization, where batches are too small for batch normalization: what a batch's
statistics do for the loss surface, the weights' do here.
"""

from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.kernel import check_layer, run_inner, start_inner, wide
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.layers.normalization import moments, normalize
from jaxopt_notes.record import Number, check_number, record

__all__ = ["WeightStandardization", "standardized_kernel", "weight_standardization"]


@record
class WeightStandardization:
    """See `weight_standardization`."""

    layer: Layer
    eps: Number

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        return start_inner("weight_standardization", self.layer, key, x, extra), ()

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: Tree,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        **extra: Any,
    ) -> tuple[Tree, Tree]:
        kernel = standardized_kernel(params["kernel"], self.eps)
        return run_inner(self.layer, params, kernel, x, key, train, extra), state


def standardized_kernel(kernel: jax.Array, eps: Number = 1e-5) -> jax.Array:
    """(w − μ)/√(σ² + eps), of all weights of one output: all axes but the last.

    Example:
        >>> import jax.numpy as jnp
        >>> standardized_kernel(jnp.array([[1.0, 10.0], [3.0, 30.0]]), 0.0)
        Array([[-1., -1.],
               [ 1.,  1.]], dtype=float32)
    """
    w = wide(kernel)
    return normalize(w, *moments(w, tuple(range(w.ndim - 1))), eps)


def weight_standardization(layer: Layer, eps: Number = 1e-5) -> WeightStandardization:
    """Weight standardization of a layer's kernel.

        ŵ = (w − μ)/√(σ² + eps)            μ, σ²: of what one output sums over

    Arguments:
        layer: a layer with one kernel: `conv`, `dense`, …
        eps: added inside the root, > 0.

    Returns:
        A `WeightStandardization` record; params are the layer's. Outputs have the variance of n inputs, n the
        fan-in: a normalization has to follow.

    Raises:
        TypeError: not a layer. ValueError: eps is not positive; in `init`, a layer without a kernel.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.dense import dense
        >>> layer, x = weight_standardization(dense(2, use_bias=False)), jnp.ones((1, 5))
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> bool(jnp.allclose(layer.apply(params, state, x)[0], 0, atol=1e-5))
        True

    Source: Qiao et al. 2019, eq. 7 to 10, whose code adds its ε, 1e-5, to σ.

    Elsewhere: neither torch nor Flax has it; in timm it is `StdConv2d`, eps 1e-6.
    """
    return WeightStandardization(
        check_layer("weight_standardization", layer),
        check_number("weight_standardization(eps)", eps, "(0, inf)", "the usual value is 1e-5"),
    )

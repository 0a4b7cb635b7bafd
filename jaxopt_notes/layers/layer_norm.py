"""Layer normalization: each sample is standardized over its own features, then scaled and shifted.

It is batch normalization with the axes exchanged, made of the same two functions, so it needs neither
a batch nor running statistics, and training and evaluation are the same.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.layers.batch_norm import moments, normalize
from jaxopt_notes.layers.layer import Shaped, check_features, floating, parameter_dtype
from jaxopt_notes.record import Number, check_number, record

__all__ = ["LayerNorm", "layer_norm"]


@record
class LayerNorm:
    """See `layer_norm`."""

    eps: Number

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        shape, dtype = x.shape[-1:], parameter_dtype(x)
        return {"scale": jnp.ones(shape, dtype), "bias": jnp.zeros(shape, dtype)}, ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_features("layer_norm", x, params["scale"].shape[0])
        wide = x.astype(compute_dtype(x))
        y = normalize(wide, *moments(wide, (x.ndim - 1,)), self.eps, params["scale"], params["bias"])
        return y.astype(x.dtype), state


def layer_norm(eps: Number = 1e-5) -> LayerNorm:
    """Layer normalization over the last axis.

        μ = mean(x), σ² = mean((x − μ)²)      y = γ·(x − μ)/√(σ² + eps) + β

    Statistics are float32 for inputs of lower precision.

    Arguments:
        eps: added inside the root, > 0.

    Returns:
        A `LayerNorm` record; params {"scale": γ, "bias": β}, each of shape [C].

    Raises:
        ValueError: eps is not positive. TypeError: an argument is not a number.

    Example:
        >>> layer = layer_norm()
        >>> x = jnp.array([[1.0, 3.0]])
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> jnp.round(layer.apply(params, state, x)[0], 3)
        Array([[-1.,  1.]], dtype=float32)

    Source: Ba, Kiros & Hinton 2016, eq. 4.

    Elsewhere: torch has the same eps; Flax has 1e-6 and takes E[x²] − E[x]² for the variance unless
    `use_fast_variance=False`.
    """
    return LayerNorm(check_number("layer_norm(eps)", eps, "(0, inf)", "the usual value is 1e-5"))

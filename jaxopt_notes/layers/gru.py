"""The gated recurrent unit: one state, that an update gate keeps and a reset gate hides from the candidate.

The reset gate acts on h·R, after the product, as in cuDNN, torch and Keras, so that one product serves all
gates; that is why the candidate has a second bias that is not redundant. `recurrent` has the loop over time.
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import lecun_normal, orthogonal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.layer import Shaped
from jaxopt_notes.layers.recurrent import Recurrent, checked, wide_product
from jaxopt_notes.record import record, static

__all__ = ["Gru", "gru", "gru_step"]


@record
class Gru(Recurrent):
    """See `gru`."""

    gates = 3

    features: int = static()
    unroll: int = static()
    kernel_init: Initializer
    recurrent_init: Initializer
    bias_init: Initializer
    return_sequences: bool = static()
    reverse: bool = static()

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        params, state = super().init(key, x)
        dtype = params["recurrent"]["kernel"].dtype
        params["recurrent"]["bias"] = self.bias_init(jax.random.fold_in(key, 3), (self.features,), dtype)
        return params, state

    def weights(self, params: Tree, dtype: DTypeLike) -> Tree:
        """Kernels in a dtype, and biases of the same size: the recurrent one is the candidate's alone."""
        found = {name: dict(params[name], kernel=params[name]["kernel"].astype(dtype)) for name in params}
        found["recurrent"]["bias"] = jnp.pad(params["recurrent"]["bias"], (2 * self.features, 0))
        return found

    def step(self, weights: Tree, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        z, a = wide_product(x, **weights["input"]), wide_product(carry, **weights["recurrent"])
        h = gru_step(carry, z, a)
        return h, h


def gru_step(h: jax.Array, z: jax.Array, a: jax.Array) -> jax.Array:
    """One step of a gated recurrent unit: the new state [B, H], from the state before.

    z [B, 3·H] comes from the input, x·W + b, and a [B, 3·H] from the state, h·R and a bias: for the reset
    gate, the update gate and the candidate.

    Example:
        >>> gru_step(jnp.ones((1, 1)), jnp.zeros((1, 3)), jnp.zeros((1, 3)))
        Array([[0.5]], dtype=float32)
    """
    size = h.shape[-1]
    r, u = jnp.split(jax.nn.sigmoid(z[..., : 2 * size] + a[..., : 2 * size]), 2, axis=-1)
    n = jnp.tanh(z[..., 2 * size :] + r * a[..., 2 * size :])
    return (1 - u) * n + u * h


def gru(
    features: int,
    *,
    return_sequences: bool = True,
    reverse: bool = False,
    unroll: int = 1,
    kernel_init: Initializer = lecun_normal(),
    recurrent_init: Initializer = orthogonal(),
    bias_init: Initializer = zeros(),
) -> Gru:
    """A layer of gated recurrent units.

        r, u = σ(xₜ·W + hₜ₋₁·R + b)              n = tanh(xₜ·Wₙ + bₙ + r·(hₜ₋₁·Rₙ + aₙ))
        hₜ = (1 − u)·n + u·hₜ₋₁

    Arguments:
        features: H, the size of the state and of the output.
        return_sequences: whether the output is that of every step or, if False, only of the last one.
        reverse: whether time runs backwards; outputs stay in their places.
        unroll: how many steps are compiled as one turn of the loop.
        kernel_init, recurrent_init, bias_init: initializers of W, R and of b and aₙ; gates are drawn one
            by one.

    Returns:
        A `Gru` record, from [B, T, I] to [B, T, H] or [B, H]; params {"input": {"kernel": [I, 3H],
        "bias": [3H]}, "recurrent": {"kernel": [H, 3H], "bias": [H]}}. `apply` takes a `mask` [B, T].

    Raises:
        TypeError, ValueError: a size that is not a whole number ≥ 1; in `init` and `apply`, an input that
            is not of rank 3, a mask of another shape.

    Example:
        >>> layer = gru(8)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 5, 3)))
        >>> layer.apply(params, state, jnp.ones((2, 5, 3)))[0].shape
        (2, 5, 8)

    Source: Cho et al. 2014, whose reset gate acts before the product; this form is cuDNN's.

    Elsewhere: torch's `nn.GRU` has the same order of gates and kernels transposed; of its second bias [3H]
    the first two thirds are redundant. Keras puts the update gate first.
    """
    fields = checked("gru", features, unroll, kernel_init, recurrent_init, bias_init)
    return Gru(**fields, return_sequences=return_sequences, reverse=reverse)

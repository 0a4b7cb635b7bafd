"""Long short-term memory: a cell that is added to, behind gates, so that its gradient does not vanish.

∂cₜ/∂cₜ₋₁ is the forget gate, a number near 1, where a plain recurrent layer has a matrix and a slope. The
forget gate begins open, at a bias of 1, or half of the memory would be lost at every step before anything is
learned. At 1 a quarter still is: σ(1) = 0.73. For memories of T steps begin at log(T).
`recurrent` has the loop over time.
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.initializers import lecun_normal, orthogonal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.layer import Shaped
from jaxopt_notes.layers.recurrent import Recurrent, checked, joint_product
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["Lstm", "lstm", "lstm_step"]


@record
class Lstm(Recurrent):
    """See `lstm`."""

    gates = 4

    features: int = static()
    unroll: int = static()
    kernel_init: Initializer
    recurrent_init: Initializer
    bias_init: Initializer
    return_sequences: bool = static()
    reverse: bool = static()
    forget_bias: Number

    def initial_carry(self, batch: int, dtype: DTypeLike = jnp.float32) -> tuple[jax.Array, jax.Array]:
        """Zeros [B, H] for the output and for the cell."""
        zeros = jnp.zeros((batch, self.features), dtype)
        return zeros, zeros

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        params, state = super().init(key, x)
        bias, size = params["input"]["bias"], self.features
        opened = bias[size : 2 * size] + as_hyperparameter(self.forget_bias).astype(bias.dtype)
        params["input"]["bias"] = bias.at[size : 2 * size].set(opened)
        return params, state

    def step(self, weights: Tree, carry: tuple, x: jax.Array) -> tuple[tuple, jax.Array]:
        h, c = lstm_step(carry[1], joint_product(x, carry[0], weights))
        return (h, c), h


def lstm_step(c: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One step of an LSTM: the new output and the new cell, [B, H] each, from the cell before.

    z = x·W + h·R + b [B, 4·H] has the input gate, the forget gate, the candidate and the output gate.

    Example:
        >>> h, c = lstm_step(jnp.ones((1, 1)), jnp.zeros((1, 4)))
        >>> jnp.round(h, 4), c
        (Array([[0.2311]], dtype=float32), Array([[0.5]], dtype=float32))
    """
    i, f, g, o = jnp.split(z, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def lstm(
    features: int,
    *,
    return_sequences: bool = True,
    reverse: bool = False,
    unroll: int = 1,
    forget_bias: Number = 1.0,
    kernel_init: Initializer = lecun_normal(),
    recurrent_init: Initializer = orthogonal(),
    bias_init: Initializer = zeros(),
) -> Lstm:
    """A long short-term memory.

        i, f, g, o = xₜ·W + hₜ₋₁·R + b
        cₜ = σ(f)·cₜ₋₁ + σ(i)·tanh(g)            hₜ = σ(o)·tanh(cₜ)

    Arguments:
        features: H, the size of the cell and of the output.
        return_sequences: whether the output is that of every step or, if False, only of the last one.
        reverse: whether time runs backwards; outputs stay in their places.
        unroll: how many steps are compiled as one turn of the loop.
        forget_bias: added to the first bias of the forget gate; log(T) for memories of T steps.
        kernel_init, recurrent_init, bias_init: initializers of W, R and b; gates are drawn one by one.

    Returns:
        An `Lstm` record, from [B, T, I] to [B, T, H] or [B, H]; params {"input": {"kernel": [I, 4H],
        "bias": [4H]}, "recurrent": {"kernel": [H, 4H]}}. `apply` takes a `mask` [B, T].

    Raises:
        TypeError, ValueError: a size that is not a whole number ≥ 1; in `init` and `apply`, an input that
            is not of rank 3, a mask of another shape.

    Example:
        >>> layer = lstm(8, return_sequences=False)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 5, 3)))
        >>> layer.apply(params, state, jnp.ones((2, 5, 3)))[0].shape
        (2, 8)

    Source: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000 for the forget gate; Jozefowicz,
    Zaremba & Sutskever 2015 for its bias of 1, Tallec & Ollivier 2018 for log(T).

    Elsewhere: torch's `nn.LSTM` has the same order of gates, kernels transposed, a second, redundant bias
    (ours is the sum of both), and forget gates half open; Keras opens them, Flax's `OptimizedLSTMCell` does
    not and has a kernel for each gate.
    """
    fields = checked("lstm", features, unroll, kernel_init, recurrent_init, bias_init)
    bias = check_number("lstm(forget_bias)", forget_bias)
    return Lstm(**fields, return_sequences=return_sequences, reverse=reverse, forget_bias=bias)

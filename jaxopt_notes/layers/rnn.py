"""The plain recurrent layer (Elman's): each state is a squashed affine map of the input and the state before.

Its gradient through time is a product of T Jacobians: it vanishes or explodes with T, and that is what `lstm`
and `gru` are for. `recurrent` has the loop over time.
"""

from collections.abc import Callable

import jax

from jaxopt_notes.activations import ACTIVATIONS
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import lecun_normal, orthogonal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.recurrent import Recurrent, checked, joint_product
from jaxopt_notes.record import as_leaf, check_choice, record, static

__all__ = ["Rnn", "rnn"]


@record
class Rnn(Recurrent):
    """See `rnn`."""

    gates = 1

    features: int = static()
    unroll: int = static()
    kernel_init: Initializer
    recurrent_init: Initializer
    bias_init: Initializer
    return_sequences: bool = static()
    reverse: bool = static()
    activation: Callable

    def step(self, weights: Tree, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = self.activation(joint_product(x, carry, weights))
        return h, h


def rnn(
    features: int,
    activation: str | Callable[[jax.Array], jax.Array] = "tanh",
    *,
    return_sequences: bool = True,
    reverse: bool = False,
    unroll: int = 1,
    kernel_init: Initializer = lecun_normal(),
    recurrent_init: Initializer = orthogonal(),
    bias_init: Initializer = zeros(),
) -> Rnn:
    """A plain recurrent layer.

        hₜ = φ(xₜ·W + hₜ₋₁·R + b)

    Arguments:
        features: H, the size of the state and of the output.
        activation: φ, by name or as a function.
        return_sequences: whether the output is that of every step or, if False, only of the last one.
        reverse: whether time runs backwards; outputs stay in their places.
        unroll: how many steps are compiled as one turn of the loop.
        kernel_init, recurrent_init, bias_init: initializers of W, R and b.

    Returns:
        An `Rnn` record, from [B, T, I] to [B, T, H] or [B, H]; params {"input": {"kernel": [I, H],
        "bias": [H]}, "recurrent": {"kernel": [H, H]}}. `apply` takes a `mask` [B, T].

    Raises:
        TypeError, ValueError: a size that is not a whole number ≥ 1, an unknown activation; in `init` and
            `apply`, an input that is not of rank 3, a mask of another shape.

    Example:
        >>> import jax.numpy as jnp
        >>> layer = rnn(8)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 5, 3)))
        >>> layer.apply(params, state, jnp.ones((2, 5, 3)))[0].shape
        (2, 5, 8)

    Source: Elman 1990; Goodfellow, Bengio & Courville 2016, section 10.2.

    Elsewhere: torch's `nn.RNN` adds a second, redundant bias and puts time first unless `batch_first`.
    """
    if isinstance(activation, str):
        activation = ACTIVATIONS[check_choice("rnn(activation)", activation, tuple(ACTIVATIONS))]
    fields = checked("rnn", features, unroll, kernel_init, recurrent_init, bias_init)
    return Rnn(**fields, return_sequences=return_sequences, reverse=reverse, activation=as_leaf(activation))

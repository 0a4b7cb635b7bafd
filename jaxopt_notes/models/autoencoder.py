"""An autoencoder: a perceptron to a narrow code, and its mirror image back."""

from collections.abc import Callable, Sequence

import jax

from jaxopt_notes.initializers import he_normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.mlp import mlp
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.record import Number, check_count

__all__ = ["autoencoder"]


def autoencoder(
    features: int,
    sizes: Sequence[int],
    activation: str | Callable[[jax.Array], jax.Array] = "relu",
    dropout: Number | None = None,
    batch_norm: bool | str = False,
    kernel_init: Initializer = he_normal(),
) -> Serial:
    """An encoder and a decoder of vectors.

        code = encoder(x)            y = decoder(code)

    Arguments:
        features: of the vectors that go in, and come out.
        sizes: widths of the encoder's dense layers, the code's last: [128, 32]; backwards in the decoder.
        activation, dropout, batch_norm, kernel_init: as in `mlp`; neither code nor output is activated.

    Returns:
        A `Serial` record of the two, from [B, features] to [B, features]. The code is what comes out of the
        first, `model.layers[0].apply(params["layers_0"], …)`.

    Raises:
        ValueError, TypeError: no sizes, or one that is not a whole number ≥ 1; a rate outside [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> model = autoencoder(64, [32, 8])
        >>> params, state = jax.jit(model.init)(jax.random.key(0), jnp.ones((2, 64)))
        >>> jax.eval_shape(model.apply, params, state, jnp.ones((2, 64)))[0].shape
        (2, 64)

    Source: Rumelhart, Hinton & Williams 1986; Hinton & Salakhutdinov 2006.
    """
    features = check_count("autoencoder(features)", features, 1)
    if not sizes:
        raise ValueError("autoencoder(sizes) is empty, expected the encoder's widths, such as [128, 32].")
    rest = (activation, dropout, batch_norm, kernel_init)
    return serial(mlp(sizes, *rest), mlp([*reversed(sizes[:-1]), features], *rest))

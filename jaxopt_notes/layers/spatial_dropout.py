"""Spatial dropout: whole channels are dropped, not single pixels.

Neighbouring pixels of a channel say nearly the same, so what one of them loses is read off the next, and
dropping pixels one by one hardly regularizes a convolution. Here all pixels of a channel share one draw.
"""

from jaxopt_notes.layers.dropout import MODES, Dropout
from jaxopt_notes.record import Number, check_choice, check_number

__all__ = ["spatial_dropout"]


def spatial_dropout(rate: Number = 0.5, mode: str = "inverted") -> Dropout:
    """Dropout of whole channels of each example.

        inverted   training: y = mask·x/(1 − rate)    evaluation: y = x
        vanilla    training: y = mask·x               evaluation: y = (1 − rate)·x
        mask = 0 with probability rate, else 1, independently for each example and channel

    Arguments:
        rate: the probability of dropping, in [0, 1].
        mode: "inverted" rescales in training, "vanilla" in evaluation.

    Returns:
        A `Dropout` record, for x [B, …, C]; without axes between it is `dropout`.

    Raises:
        ValueError: a rate outside [0, 1], an unknown mode; in `apply`, training without a key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones((1, 2, 2, 3))
        >>> y, _ = spatial_dropout(0.5).apply({}, (), x, key=jax.random.key(1), train=True)
        >>> y.reshape(4, 3)
        Array([[2., 0., 2.],
               [2., 0., 2.],
               [2., 0., 2.],
               [2., 0., 2.]], dtype=float32)

    Source: Tompson et al. 2015, section 3.2.

    Elsewhere: torch has `Dropout1d`, `2d`, `3d`, Keras `SpatialDropout2D`, Flax `broadcast_dims`.
    """
    return Dropout(
        check_number("spatial_dropout(rate)", rate, "[0, 1]", "it is the probability of dropping"),
        check_choice("spatial_dropout(mode)", mode, MODES),
        (1, -1),
    )

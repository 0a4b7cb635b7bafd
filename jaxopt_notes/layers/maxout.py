"""Maxout: each unit is the largest of several linear functions, so it learns its own convex activation."""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import check_initializer, lecun_normal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.dense import affine
from jaxopt_notes.layers.layer import Shaped, check_features, floating, kernel_and_bias, parameter_dtype
from jaxopt_notes.record import check_count, record, static

__all__ = ["Maxout", "maxout"]


@record
class Maxout:
    """See `maxout`."""

    features: int = static()
    pieces: int = static()
    use_bias: bool = static()
    kernel_init: Initializer
    bias_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        shape = (x.shape[-1], self.pieces * self.features)
        return kernel_and_bias(self, key, shape, shape[1:], parameter_dtype(x)), ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_features("maxout", x, params["kernel"].shape[0])
        pieces = affine(x, params["kernel"], params.get("bias"))
        return jnp.max(pieces.reshape(*x.shape[:-1], self.pieces, self.features), axis=-2), state


def maxout(
    features: int,
    pieces: int = 2,
    *,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
) -> Maxout:
    """A dense layer whose units are the largest of several linear functions.

        y = max over j of (x·Wⱼ + bⱼ)

    Arguments:
        features: O, the number of outputs, ≥ 1.
        pieces: how many linear functions a unit has, ≥ 1: so many times the parameters of a dense layer.
        use_bias, kernel_init, bias_init: as in `dense`.

    Returns:
        A `Maxout` record, from [B, ..., I] to [B, ..., O]; params {"kernel": [I, pieces·O],
        "bias": [pieces·O]}, the first piece of all units first.

    Raises:
        TypeError, ValueError: a count that is not a whole number ≥ 1.

    Example:
        >>> params = {"kernel": jnp.array([[0.0, 1.0]]), "bias": jnp.zeros(2)}  # max(0, x): a ReLU
        >>> maxout(1).apply(params, (), jnp.array([[-3.0], [2.0]]))[0].ravel()
        Array([0., 2.], dtype=float32)

    Source: Goodfellow et al. 2013, eq. 1. Equal pieces share the gradient.

    Elsewhere: torch and Flax have none.
    """
    return Maxout(
        check_count("maxout(features)", features, 1),
        check_count("maxout(pieces)", pieces, 1),
        use_bias,
        check_initializer("maxout(kernel_init)", kernel_init),
        check_initializer("maxout(bias_init)", bias_init),
    )

"""Gated linear units: one half of a linear map, multiplied by an activation of the other half.

The gate lets through or holds back, number by number, and where it is open the gradient passes without an
activation in its way. The family differs in the activation of the gate: GLU sigmoid, SwiGLU SiLU, GeGLU GELU.
In a Transformer's block they take the place of the first dense layer and its activation, at ⅔ of the width.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_notes.activations import gelu, sigmoid, silu
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import check_initializer, lecun_normal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.dense import affine
from jaxopt_notes.layers.layer import Shaped, check_features, floating, kernel_and_bias, parameter_dtype
from jaxopt_notes.record import as_leaf, check_count, record, static

__all__ = ["GLU", "gated", "geglu", "glu", "swiglu"]


@record
class GLU:
    """See `glu`, `swiglu` and `geglu`."""

    features: int = static()
    use_bias: bool = static()
    activation: Callable
    kernel_init: Initializer
    bias_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        shape = (x.shape[-1], 2 * self.features)
        return kernel_and_bias(self, key, shape, shape[1:], parameter_dtype(x)), ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_features("glu", x, params["kernel"].shape[0])
        return gated(affine(x, params["kernel"], params.get("bias")), self.activation), state


def gated(x: jax.Array, activation: Callable[[jax.Array], jax.Array] = sigmoid) -> jax.Array:
    """The first half of the last axis times an activation of the second half.

    Example:
        >>> gated(jnp.array([3.0, -1.0, 0.0, 0.0]))
        Array([ 1.5, -0.5], dtype=float32)

    Elsewhere: `jax.nn.glu` and `torch.nn.functional.glu`, with the sigmoid.
    """
    if x.shape[-1] % 2:
        raise ValueError(
            f"gated(x) has shape {x.shape}, expected an even last axis: values, then their gates."
        )
    value, gate = jnp.split(x, 2, axis=-1)
    return value * activation(gate)


def glu(
    features: int,
    activation: Callable[[jax.Array], jax.Array] = sigmoid,
    *,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
) -> GLU:
    """A gated linear unit: two linear maps, one of which gates the other.

        y = (x·V + c) ⊙ φ(x·W + b)            φ = σ

    Arguments:
        features: O, the number of outputs, ≥ 1.
        activation: φ, of the gate: any function; ReLU makes ReGLU, the identity a bilinear layer.
        use_bias, kernel_init, bias_init: as in `dense`.

    Returns:
        A `GLU` record, from [B, ..., I] to [B, ..., O]; params {"kernel": [I, 2·O], "bias": [2·O]}, V and
        c first.

    Raises:
        TypeError, ValueError: `features` is not a whole number ≥ 1.

    Example:
        >>> params, state = glu(3).init(jax.random.key(0), jnp.ones((2, 5)))
        >>> glu(3).apply(params, state, jnp.ones((2, 5)))[0].shape, params["kernel"].shape
        ((2, 3), (5, 6))

    Source: Dauphin et al. 2017, eq. 1.

    Elsewhere: torch's `GLU` and `jax.nn.glu` are `gated`, without the linear map.
    """
    return GLU(
        check_count("glu(features)", features, 1),
        use_bias,
        as_leaf(activation),
        check_initializer("glu(kernel_init)", kernel_init),
        check_initializer("glu(bias_init)", bias_init),
    )


def swiglu(
    features: int,
    *,
    use_bias: bool = False,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
) -> GLU:
    """A linear map gated by the SiLU of another.

        y = (x·V) ⊙ silu(x·W)

    Arguments:
        features, use_bias, kernel_init, bias_init: as in `glu`, but without biases, as in the paper.

    Returns:
        A `GLU` record, from [B, ..., I] to [B, ..., O].

    Example:
        >>> params, _ = swiglu(3).init(jax.random.key(0), jnp.ones((2, 5)))
        >>> jax.tree.map(jnp.shape, params)
        {'kernel': (5, 6)}

    Source: Shazeer 2020, eq. 5 and 6.

    Elsewhere: LLaMA's `gate_proj` is W, the second half here, and `up_proj` is V.
    """
    return glu(features, silu, use_bias=use_bias, kernel_init=kernel_init, bias_init=bias_init)


def geglu(
    features: int,
    *,
    use_bias: bool = False,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
) -> GLU:
    """A linear map gated by the GELU of another.

        y = (x·V) ⊙ gelu(x·W)

    Arguments:
        features, use_bias, kernel_init, bias_init: as in `glu`, but without biases, as in the paper.

    Returns:
        A `GLU` record, from [B, ..., I] to [B, ..., O].

    Example:
        >>> params, _ = geglu(3).init(jax.random.key(0), jnp.ones((2, 5)))
        >>> jax.tree.map(jnp.shape, params)
        {'kernel': (5, 6)}

    Source: Shazeer 2020, eq. 5 and 6, with the form of GELU by tanh, as `gelu`.

    Elsewhere: Flax's `GeGLU`, with a bias.
    """
    return glu(features, gelu, use_bias=use_bias, kernel_init=kernel_init, bias_init=bias_init)

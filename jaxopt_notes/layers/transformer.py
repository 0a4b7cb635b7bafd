"""Transformer blocks: attention, and a perceptron at each step, both residual and normalized.

One function makes all three kinds: an encoder's block as it is, a decoder's with `causal=True`, and one that
also attends to an encoder's output with `cross=True`. Normalization before each branch ("pre") leaves a way
around from end to end, and deep stacks train without a warm-up; after each sum ("post") is the original.
A block's output is like its input, so `repeat(block, depth)` makes a stack of them that compiles as one.
"""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_notes.initializers import lecun_normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.activation import activation as activation_layer
from jaxopt_notes.layers.attention import multi_head_attention
from jaxopt_notes.layers.dense import dense
from jaxopt_notes.layers.dropout import dropout as dropout_layer
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.layer_norm import layer_norm
from jaxopt_notes.layers.residual import residual
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.record import Number, check_choice

__all__ = ["transformer_block"]


def transformer_block(
    features: int,
    heads: int,
    hidden: int | None = None,
    *,
    norm: str = "pre",
    causal: bool = False,
    cross: bool = False,
    kv_heads: int | None = None,
    dropout: Number | None = None,
    activation: str | Callable[[jax.Array], jax.Array] = "gelu",
    rotary_base: Number | None = None,
    eps: Number = 1e-5,
    kernel_init: Initializer = lecun_normal(),
) -> Serial:
    """A block of a Transformer.

        pre      x ← x + attention(norm(x))            x ← x + mlp(norm(x))
        post     x ← norm(x + attention(x))            x ← norm(x + mlp(x))

    Arguments:
        features: D, of input and output.
        heads: of the attention; they divide D.
        hidden: units of the perceptron; by default 4·D.
        norm: where layer normalization stands, "pre" or "post".
        causal: whether each step sees only those before it and itself.
        cross: whether there is a second attention, to a `memory` that `init` and `apply` are given.
        kv_heads: heads of keys and values; by default as many.
        dropout: the rate, of attention weights, hidden units and outputs of branches; `None` leaves it out.
        activation: of the perceptron, by name or as a function.
        rotary_base: of rotary positions, usually 10000; `None` leaves them out.
        eps: of layer normalization.
        kernel_init: initializer of all kernels.

    Returns:
        A `Serial` record, from [B, T, D] to [B, T, D]; `apply` takes `mask`, `attention_mask`, `memory` and
        `memory_mask` as `multi_head_attention`.

    Raises:
        TypeError, ValueError: as `multi_head_attention`; another norm.

    Example:
        >>> import jax.numpy as jnp
        >>> block = transformer_block(8, 2)
        >>> params, state = block.init(jax.random.key(0), jnp.ones((2, 5, 8)))
        >>> block.apply(params, state, jnp.ones((2, 5, 8)))[0].shape
        (2, 5, 8)

    Source: Vaswani et al. 2017, figure 1; Xiong et al. 2020 for "pre".

    Elsewhere: torch's `TransformerEncoderLayer` has "post" unless `norm_first=True`, and ReLU.
    """
    check_choice("transformer_block(norm)", norm, ("pre", "post"))
    drop = [] if dropout is None else [dropout_layer(dropout)]

    def attend(**kind: Any) -> Layer:
        return multi_head_attention(
            features, heads, kv_heads=kv_heads, dropout=dropout, kernel_init=kernel_init, **kind
        )

    def branch(*layers: Layer) -> list[Layer]:
        if norm == "pre":
            return [residual(serial(layer_norm(eps), *layers))]
        return [residual(serial(*layers)), layer_norm(eps)]

    itself = branch(attend(causal=causal, rotary_base=rotary_base), *drop)
    other = branch(attend(cross=True), *drop) if cross else []
    perceptron = branch(
        dense(4 * features if hidden is None else hidden, kernel_init=kernel_init),
        activation_layer(activation),
        *drop,
        dense(features, kernel_init=kernel_init),
        *drop,
    )
    return serial(*itself, *other, *perceptron)

"""Small Transformers: a decoder that predicts the next token, and an encoder that classifies a sequence."""

from collections.abc import Callable

import jax

from jaxopt_notes.initializers import normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.dense import dense
from jaxopt_notes.layers.dropout import dropout as dropout_layer
from jaxopt_notes.layers.embedding import embedding, mask_padding, unembedding
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.layer_norm import layer_norm
from jaxopt_notes.layers.positions import learned_positions, sinusoidal_positions
from jaxopt_notes.layers.remat import remat
from jaxopt_notes.layers.repeat import repeat
from jaxopt_notes.layers.sequence_pool import sequence_pool
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.layers.shared import shared
from jaxopt_notes.layers.transformer import transformer_block
from jaxopt_notes.record import Number, check_choice, check_count

__all__ = ["transformer_classifier", "transformer_language_model"]


def transformer_language_model(
    vocabulary: int,
    features: int = 256,
    heads: int = 4,
    depth: int = 4,
    *,
    hidden: int | None = None,
    length: int = 1024,
    positions: str = "learned",
    kv_heads: int | None = None,
    dropout: Number | None = None,
    activation: str | Callable[[jax.Array], jax.Array] = "gelu",
    tied: bool = True,
    rematerialize: bool = False,
    kernel_init: Initializer = normal(0.02),
) -> Serial:
    """A decoder: logits of the next token at every step, each from the tokens up to it.

        x = E[tokens] + P            x ← block(x) … (causal, normalized before)            y = norm(x)·Eᵀ

    At GPT-2's sizes (50257, 768, 12 heads, depth 12, length 1024) it has its 124,439,808 parameters.

    Arguments:
        vocabulary: the number of tokens.
        features: D, the width.
        heads: of each attention; they divide D.
        depth: the number of blocks, which stand stacked (`repeat`) and compile as one.
        hidden: units of the perceptrons; by default 4·D.
        length: of the longest sequence, for learned positions.
        positions: "learned", "sinusoidal" or "rotary".
        kv_heads: heads of keys and values; by default as many.
        dropout: the rate, after the embedding and as in `transformer_block`; `None` leaves it out.
        activation: of the perceptrons.
        tied: whether the last layer is the embedding's matrix too, or a dense layer of its own.
        rematerialize: whether only the input of each block is kept for the gradient (`remat`).
        kernel_init: initializer of all kernels and of the embedding.

    Returns:
        A `Serial` record, from tokens [B, T] to [B, T, vocabulary].

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1 or do not divide; a rate outside [0, 1];
            other positions.

    Example:
        >>> import jax.numpy as jnp
        >>> model = transformer_language_model(50, 8, 2, 2, length=16)
        >>> tokens = jnp.array([[5, 7, 2]])
        >>> params, state = jax.jit(model.init)(jax.random.key(0), tokens)
        >>> jax.eval_shape(model.apply, params, state, tokens)[0].shape
        (1, 3, 50)

    Source: Radford et al. 2019; Vaswani et al. 2017.
    """
    rotary_base = 10_000.0 if positions == "rotary" else None
    block: Layer = transformer_block(
        features,
        heads,
        hidden,
        causal=True,
        kv_heads=kv_heads,
        dropout=dropout,
        activation=activation,
        rotary_base=rotary_base,
        kernel_init=kernel_init,
    )
    tokens: Layer = embedding(vocabulary, features, embedding_init=kernel_init)
    logits: Layer = dense(vocabulary, use_bias=False, kernel_init=kernel_init)
    if tied:
        tokens, logits = shared(tokens, "tokens"), shared(unembedding(vocabulary), "tokens")
    return serial(
        tokens,
        *_positions("transformer_language_model", positions, length),
        *([] if dropout is None else [dropout_layer(dropout)]),
        repeat(remat(block) if rematerialize else block, check_count("depth", depth, 1)),
        layer_norm(),
        logits,
    )


def transformer_classifier(
    classes: int,
    vocabulary: int | None = None,
    features: int = 128,
    heads: int = 4,
    depth: int = 2,
    *,
    hidden: int | None = None,
    length: int = 1024,
    positions: str = "learned",
    norm: str = "pre",
    dropout: Number | None = None,
    activation: str | Callable[[jax.Array], jax.Array] = "gelu",
    padding: int = 0,
) -> Serial:
    """An encoder, the mean over its steps, and a dense layer.

        x = E[tokens] + P            x ← block(x) …            y = mean(norm(x))·W + b

    Arguments:
        classes: the number of outputs.
        vocabulary: the number of tokens; `None` if the inputs are vectors [B, T, I], which a dense layer
            widens.
        features, heads, depth, hidden, length, positions, dropout, activation: as in
            `transformer_language_model`.
        norm: where blocks normalize, "pre" or "post".
        padding: the token that fills sequences up; nothing attends to it, and it is not in the mean.

    Returns:
        A `Serial` record, from tokens [B, T], or [B, T, I], to [B, classes]. Vectors are masked by `mask`
        [B, T] in `apply`.

    Raises:
        As `transformer_language_model`.

    Example:
        >>> import jax.numpy as jnp
        >>> model = transformer_classifier(2, 50, 8, 2, 2, length=16)
        >>> tokens = jnp.array([[5, 7, 2, 0, 0]])
        >>> params, state = jax.jit(model.init)(jax.random.key(0), tokens)
        >>> jax.eval_shape(model.apply, params, state, tokens)[0].shape
        (1, 2)

    Source: Vaswani et al. 2017; Devlin et al. 2019.
    """
    block = transformer_block(
        features,
        heads,
        hidden,
        norm=norm,
        dropout=dropout,
        activation=activation,
        rotary_base=10_000.0 if positions == "rotary" else None,
    )
    encoder = serial(
        dense(features) if vocabulary is None else embedding(vocabulary, features),
        *_positions("transformer_classifier", positions, length),
        *([] if dropout is None else [dropout_layer(dropout)]),
        repeat(block, check_count("depth", depth, 1)),
        *([layer_norm()] if norm == "pre" else []),
        sequence_pool("mean"),
    )
    return serial(encoder if vocabulary is None else mask_padding(encoder, padding), dense(classes))


def _positions(model: str, positions: str, length: int) -> list[Layer]:
    check_choice(f"{model}(positions)", positions, ("learned", "sinusoidal", "rotary"))
    if positions == "rotary":  # in the attention
        return []
    return [learned_positions(length) if positions == "learned" else sinusoidal_positions()]

"""A classifier of sequences: of tokens by an embedding, or of vectors, and an LSTM that reads them."""

from jaxopt_notes.layers.bidirectional import bidirectional as both_ways
from jaxopt_notes.layers.dense import dense
from jaxopt_notes.layers.dropout import dropout as dropout_layer
from jaxopt_notes.layers.embedding import embedding, mask_padding
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.lstm import lstm
from jaxopt_notes.layers.serial import Serial, serial
from jaxopt_notes.record import Number, check_count

__all__ = ["lstm_classifier"]


def lstm_classifier(
    classes: int,
    features: int = 128,
    *,
    vocabulary: int | None = None,
    depth: int = 1,
    bidirectional: bool = False,
    dropout: Number | None = None,
    padding: int = 0,
    forget_bias: Number = 1.0,
) -> Serial:
    """An LSTM, and a dense layer on what it ends with.

        h = lstm(… lstm(E[x]))            y = h_T·W + b

    Arguments:
        classes: the number of outputs.
        features: of the embedding and of each LSTM (each way).
        vocabulary: the number of tokens; `None` if the inputs are vectors [B, T, I].
        depth: how many LSTMs stand above each other.
        bidirectional: whether they read both ways.
        dropout: rate before each LSTM after the first and before the dense layer; `None` leaves it out.
        padding: the token that fills sequences up, and is passed over.
        forget_bias: as in `lstm`.

    Returns:
        A `Serial` record, from tokens [B, T], or [B, T, I], to [B, classes]. Vectors are masked by `mask`
        [B, T] in `apply`.

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1, a rate outside [0, 1].

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> model = lstm_classifier(2, 8, vocabulary=100)
        >>> tokens = jnp.array([[5, 7, 2, 0, 0]])
        >>> params, state = jax.jit(model.init)(jax.random.key(0), tokens)
        >>> jax.eval_shape(model.apply, params, state, tokens)[0].shape
        (1, 2)

    Source: Hochreiter & Schmidhuber 1997; Graves, Mohamed & Hinton 2013 for depth and both ways.
    """
    depth = check_count("lstm_classifier(depth)", depth, 1)
    drop = [] if dropout is None else [dropout_layer(dropout)]
    layers: list[Layer] = []
    for i in range(depth):
        one = lstm(features, forget_bias=forget_bias, return_sequences=i + 1 < depth)
        layers += [both_ways(one) if bidirectional else one, *drop]
    if vocabulary is None:
        return serial(*layers, dense(classes))
    return serial(mask_padding(serial(embedding(vocabulary, features), *layers), padding), dense(classes))

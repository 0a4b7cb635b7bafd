"""Embeddings: a learned vector for each token of a vocabulary, and back to tokens.

`embedding` looks rows up; `unembedding` multiplies with all of them and gives a logit for each token.
Tied weights are the two under one name, `shared(embedding(v, d), "tokens")` and
`shared(unembedding(v), "tokens")`.
`mask_padding` tells the layers within it which tokens only fill a sequence up.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import check_initializer, normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.children import as_layer, run, start
from jaxopt_notes.layers.dense import product
from jaxopt_notes.layers.layer import Layer, Shaped, check_features, floating, parameter_dtype
from jaxopt_notes.record import Number, check_count, check_number, record, replace, static

__all__ = ["Embedding", "MaskPadding", "Unembedding", "embedding", "mask_padding", "unembedding"]


@record
class Embedding:
    """See `embedding`."""

    vocabulary: int = static()
    features: int = static()
    dtype: DTypeLike | None = static()
    embedding_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        check_tokens(x)
        shape = (self.vocabulary, self.features)
        return {"embedding": self.embedding_init(key, shape, parameter_dtype(x))}, ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_tokens(x)
        rows = jnp.take(params["embedding"], x, axis=0, mode="fill")
        return rows if self.dtype is None else rows.astype(self.dtype), state


@record
class Unembedding:
    """See `unembedding`."""

    vocabulary: int = static()
    embedding_init: Initializer
    scale: Number | None

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        return {"embedding": self.embedding_init(key, (self.vocabulary, x.shape[-1]), parameter_dtype(x))}, ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x, rows = floating(x), params["embedding"]
        check_features("unembedding", x, rows.shape[1])
        y = product(x, rows.T.astype(x.dtype))
        return (y if self.scale is None else jnp.asarray(self.scale, y.dtype) * y).astype(x.dtype), state

    def transferred(self, base: "Unembedding", shapes: dict[str, tuple]) -> "Unembedding":
        """This layer in the wider model of `mup`: its matrix moves as an embedding, its sums are scaled."""
        rows = [path for path in shapes if path.split("/")[-1] == "embedding"]
        found = {(m[1], n[1]) for m, n in map(shapes.__getitem__, rows) if n[0] == self.vocabulary}
        if len(found) != 1:
            raise ValueError(
                f"mup(model) has embeddings of {self.vocabulary} tokens that grow from and to "
                f"{sorted(found)} features, expected one pair, to know which unembedding goes with which."
            )
        narrow, wide = found.pop()
        return replace(self, scale=(1.0 if base.scale is None else base.scale) * (narrow / wide))


@record
class MaskPadding:
    """See `mask_padding`."""

    layer: Layer
    padding: int = static()

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        return start(self.layer, key, x, extra | {"mask": jax.ShapeDtypeStruct(x.shape, jnp.bool_)})

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: jax.Array,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        **extra: Any,
    ) -> tuple[jax.Array, Tree]:
        return run(self.layer, params, state, x, key, train, extra | {"mask": x != self.padding})


def check_tokens(x: Shaped) -> None:
    """Raise unless x has whole numbers."""
    if not jnp.issubdtype(x.dtype, jnp.integer):
        raise TypeError(
            f"embedding(x) is {x.dtype}{list(x.shape)}, expected whole numbers, the tokens' places in the "
            "vocabulary: for vectors use dense."
        )


def embedding(
    vocabulary: int, features: int, *, dtype: DTypeLike | None = None, embedding_init: Any | None = None
) -> Embedding:
    """A learned vector for each token.

        y = E[x]

    Arguments:
        vocabulary: V, the number of tokens, which are 0, …, V − 1.
        features: D, the length of a vector.
        dtype: of the output, and so of the computations that follow; by default the parameters'.
        embedding_init: initializer of E, called `(key, (V, D), dtype)`; by default N(0, 1/D), with which
            logits of tied weights begin of order 1.

    Returns:
        An `Embedding` record, from whole numbers [B, ...] to [B, ..., D]; params {"embedding": [V, D]}. A
        token outside the vocabulary gives NaN.

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1; in `init` and `apply`, tokens that are no
            whole numbers.

    Example:
        >>> layer = embedding(100, 8)
        >>> tokens = jnp.array([[3, 1, 4]])
        >>> params, state = layer.init(jax.random.key(0), tokens)
        >>> layer.apply(params, state, tokens)[0].shape
        (1, 3, 8)

    Source: Bengio et al. 2003.

    Elsewhere: Flax's `Embed` has the same name, shape and first values; torch's `nn.Embedding` begins at
    N(0, 1) and raises where we give NaN; indexing in JAX takes the nearest row.
    """
    features = check_count("embedding(features)", features, 1)
    init = normal(features**-0.5) if embedding_init is None else embedding_init
    return Embedding(
        check_count("embedding(vocabulary)", vocabulary, 1),
        features,
        None if dtype is None else jnp.dtype(dtype),
        check_initializer("embedding(embedding_init)", init),
    )


def unembedding(
    vocabulary: int, *, embedding_init: Initializer = normal(0.02), scale: Number | None = None
) -> Unembedding:
    """A logit for each token, by the product with its vector.

        y = scale·x·Eᵀ

    Arguments:
        vocabulary: V, the number of tokens.
        embedding_init: initializer of E, called `(key, (V, D), dtype)`, unless it is shared.
        scale: a number, 1 by default.

    Returns:
        An `Unembedding` record, from [B, ..., D] to [B, ..., V]; params {"embedding": [V, D]}.

    Raises:
        TypeError, ValueError: a size that is not a whole number ≥ 1.

    Example:
        >>> from jaxopt_notes.layers.serial import serial
        >>> from jaxopt_notes.layers.shared import shared
        >>> model = serial(shared(embedding(100, 8), "tokens"), shared(unembedding(100), "tokens"))
        >>> params, state = model.init(jax.random.key(0), jnp.array([[3, 1, 4]]))
        >>> jax.tree.map(jnp.shape, params), model.apply(params, state, jnp.array([[3, 1, 4]]))[0].shape
        ({'tokens': {'embedding': (100, 8)}}, (1, 3, 100))

    Source: Press & Wolf 2017; Inan, Khosravi & Socher 2017.

    Elsewhere: Flax's `Embed.attend`.
    """
    return Unembedding(
        check_count("unembedding(vocabulary)", vocabulary, 1),
        check_initializer("unembedding(embedding_init)", embedding_init),
        None if scale is None else check_number("unembedding(scale)", scale),
    )


def mask_padding(layer: Layer, padding: int = 0) -> MaskPadding:
    """A layer of tokens that is told which of them are padding.

        y = f(x, mask=(x ≠ padding))

    Arguments:
        layer: its recurrent layers, attention and pooling over time take the mask.
        padding: the token with which sequences are filled up.

    Returns:
        A `MaskPadding` record, with the parameters and the state of the layer.

    Raises:
        TypeError: not a layer, or not a whole number. ValueError: a negative one.

    Example:
        >>> from jaxopt_notes.layers.lstm import lstm
        >>> from jaxopt_notes.layers.serial import serial
        >>> layer = mask_padding(serial(embedding(10, 4), lstm(4, return_sequences=False)))
        >>> params, state = layer.init(jax.random.key(0), jnp.array([[3, 1]]))
        >>> short, long = (layer.apply(params, state, jnp.array(x))[0] for x in ([[3, 1]], [[3, 1, 0, 0]]))
        >>> bool(jnp.allclose(short, long))
        True

    Elsewhere: Keras' `Masking` and `mask_zero`.
    """
    return MaskPadding(
        as_layer("mask_padding(layer)", layer), check_count("mask_padding(padding)", padding, 0)
    )

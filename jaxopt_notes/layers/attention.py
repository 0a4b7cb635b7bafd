"""Multi-head attention: each step of a sequence asks all others, and takes of their values what answers.

`attention` is the formula, for arrays. It is written out: `jax.nn.dot_product_attention` (jax 0.10) rounds
float64 to float32 in its softmax, has a gradient in half precision that mixes dtypes or fails on CPUs, cannot
drop weights, and gives heads an axis of groups even where there are none, which takes CPUs a third longer.
`multi_head_attention` makes queries, keys and values by dense layers, whose kernels are plain matrices
[D, N·H], and joins the heads by another.

Which steps are there is said by a `mask` [B, T], as in recurrent layers; which may look at which by
`causal`, or step by step by an `attention_mask`. With `cross=True` keys and values are made from a `memory`
instead: all are arguments of `apply` that containers pass down.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers import lecun_normal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.children import Running, Starting
from jaxopt_notes.layers.dense import Dense, dense
from jaxopt_notes.layers.dropout import dropout_mask, inverse_keep
from jaxopt_notes.layers.half_product import half_product
from jaxopt_notes.layers.layer import Shaped, floating, shaped_like
from jaxopt_notes.layers.positions import rotary
from jaxopt_notes.layers.recurrent import check_mask, check_sequence
from jaxopt_notes.record import Number, check_count, check_number, record, replace, static

__all__ = ["MultiHeadAttention", "attention", "multi_head_attention"]

PLAIN = "btnh,bsnh->bnts", "bnts,bsnh->btnh"  # each head of queries with its own of keys and values


@record
class MultiHeadAttention:
    """See `multi_head_attention`."""

    query: Dense
    key: Dense
    value: Dense
    out: Dense
    dropout: Number | None
    rotary_base: Number | None
    scale: Number | None
    heads: int = static()
    kv_heads: int = static()
    causal: bool = static()
    cross: bool = static()

    def init(self, key: jax.Array, x: Shaped, memory: Shaped | None = None) -> tuple[Tree, Tree]:
        check_sequence("multi_head_attention", x)
        source, child = self._source(x, memory), Starting(key, {})
        child("query", self.query, x)
        child("key", self.key, source)
        child("value", self.value, source)
        child("out", self.out, shaped_like(x, (*x.shape[:2], self.query.features)))
        return child.params, child.state

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: jax.Array,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        mask: jax.Array | None = None,
        attention_mask: jax.Array | None = None,
        memory: jax.Array | None = None,
        memory_mask: jax.Array | None = None,
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_sequence("multi_head_attention", x)
        source, child = self._source(x, memory), Running(params, state, key, train, {})
        q, k, v = (
            child(name, layer, of).reshape(*of.shape[:2], heads, -1)
            for name, layer, of, heads in (
                ("query", self.query, x, self.heads),
                ("key", self.key, source, self.kv_heads),
                ("value", self.value, source, self.kv_heads),
            )
        )
        if self.rotary_base is not None:
            q, k = rotary(q, base=self.rotary_base), rotary(k, base=self.rotary_base)
        there = memory_mask if self.cross else mask
        check_mask(there, source.shape[:2])
        seen = None if there is None else there[:, None, None, :]
        if attention_mask is not None and not self.cross:
            seen = attention_mask if seen is None else seen & attention_mask
        rate = self.dropout if train else None
        y = attention(
            q, k, v, seen, causal=self.causal, scale=self.scale, rate=rate, key=_dropout_key(key, rate)
        )
        return child("out", self.out, y.reshape(*x.shape[:2], -1)), child.state

    def transferred(self, base: "MultiHeadAttention", shapes: Any) -> "MultiHeadAttention":
        """This layer in the wider model of `mup`: queries and keys are correlated, so that q·k grows as H."""
        narrow, wide = (layer.query.features // layer.heads for layer in (base, self))
        scale = narrow**-0.5 if base.scale is None else base.scale
        return replace(self, scale=scale * (narrow / wide))

    def _source(self, x: Shaped, memory: Shaped | None) -> Shaped:
        """What keys and values are made from."""
        if not self.cross:
            return x
        if memory is None:
            raise ValueError(
                "multi_head_attention(cross=True) is given no memory, expected the sequence that it "
                "attends to: model.apply(params, state, x, memory=encoded), and model.init alike."
            )
        return memory


def _dropout_key(key: jax.Array | None, rate: Number | None) -> jax.Array | None:
    if rate is None:
        return None
    if key is None:
        raise ValueError(
            "multi_head_attention(key) is None, expected a key when train=True: give apply "
            "key=jax.random.fold_in(key, step), a new one at each step, or train=False."
        )
    return jax.random.fold_in(key, 4)  # after query, key, value and out


def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None = None,
    *,
    causal: bool = False,
    scale: Number | None = None,
    rate: Number | None = None,
    key: jax.Array | None = None,
) -> jax.Array:
    """Values, averaged with the softmax of how well their keys answer the queries.

        y[t] = Σₛ softmaxₛ(q[t]·k[s]/√H)·v[s]

    The softmax is computed in at least float32. Of N heads of queries and K of keys and values each group
    of N/K consecutive heads of queries shares one: grouped-query attention. A query that may see nothing
    gets the plain average of all values.

    Arguments:
        q: [B, T, N, H]. k, v: [B, S, K, H], where K divides N.
        mask: bools [B or 1, N or 1, T or 1, S or 1], True where t may see s.
        causal: whether t sees only s ≤ t.
        scale: what q·k is multiplied by; by default 1/√H.
        rate: probability with which a weight is dropped, with `key`; `None` drops none.
        key: for dropping.

    Returns:
        [B, T, N, H], in the dtype of q.

    Example:
        >>> q, k = jnp.zeros((1, 2, 1, 1)), jnp.zeros((1, 2, 1, 1))
        >>> attention(q, k, jnp.array([1.0, 3.0]).reshape(1, 2, 1, 1), causal=True).ravel()
        Array([1., 2.], dtype=float32)

    Source: Vaswani et al. 2017, eq. 1; Ainslie et al. 2023 for grouped queries.
    """
    batch, steps, heads, size = q.shape
    kind, groups = compute_dtype(q), k.shape[2]
    several = heads > groups  # heads of queries share one of keys; else an axis for them would only cost
    grouped = q.reshape(batch, steps, groups, heads // groups, size) if several else q
    asked, answered = ("btkgh,bskh->bkgts", "bkgts,bskh->btkgh") if several else PLAIN
    logits = jnp.einsum(asked, grouped, k, preferred_element_type=kind)
    logits = logits * (size**-0.5 if scale is None else jnp.asarray(scale, kind))
    shape, logits = logits.shape, logits.reshape(batch, heads, steps, k.shape[1])
    seen = jnp.tri(steps, k.shape[1], dtype=bool)[None, None] if causal else None
    if mask is not None:
        seen = mask if seen is None else seen & mask
    if seen is not None:
        logits = jnp.where(seen, logits, jnp.asarray(-0.7 * np.finfo(kind).max, kind))
    weights = jax.nn.softmax(logits, axis=-1)
    if rate is not None:
        assert key is not None
        kept = dropout_mask(key, rate, weights.shape)
        weights = jnp.where(kept, weights * inverse_keep(rate).astype(kind), jnp.zeros_like(weights))

    def averaged(weights: jax.Array, v: jax.Array, dtype: DTypeLike) -> jax.Array:
        return jnp.einsum(answered, weights, v, preferred_element_type=dtype)

    y = half_product(averaged, weights.astype(v.dtype).reshape(shape), v)
    return y.reshape(q.shape).astype(q.dtype)


def multi_head_attention(
    features: int,
    heads: int,
    *,
    kv_heads: int | None = None,
    causal: bool = False,
    cross: bool = False,
    dropout: Number | None = None,
    rotary_base: Number | None = None,
    scale: Number | None = None,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
) -> MultiHeadAttention:
    """Multi-head attention of a sequence to itself, or to another one.

        headₙ = attention(x·Qₙ, z·Kₙ, z·Vₙ)            y = [head₁, …, head_N]·O            z = x or the memory

    Arguments:
        features: D, the output's, and the size of all heads together.
        heads: N, which divides D.
        kv_heads: K, heads of keys and values, which divides N; 1 is multi-query attention. By default N.
        causal: whether each step sees only those before it and itself.
        cross: whether keys and values come from a `memory`, which `init` and `apply` are given.
        dropout: rate at which attention weights are dropped in training; `None` leaves it out, which 0
            does not.
        rotary_base: for rotary positions in queries and keys, usually 10000; `None` leaves them out.
        scale: what q·k is multiplied by; by default 1/√H, H = D/N.
        use_bias, kernel_init, bias_init: of the four dense layers.

    Returns:
        A `MultiHeadAttention` record, from [B, T, I] to [B, T, D]; params {"query", "key", "value", "out"},
        each as of `dense`. `apply` takes a `mask` [B, T] of the steps that are there, an `attention_mask`
        [B or 1, N or 1, T, T], a `memory` [B, S, M] and its `memory_mask` [B, S].

    Raises:
        TypeError, ValueError: sizes that are not whole numbers ≥ 1 or do not divide; a rate outside [0, 1];
            in `init` and `apply`, a missing memory, a mask of another shape.

    Example:
        >>> layer = multi_head_attention(8, 2, causal=True)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 5, 8)))
        >>> layer.apply(params, state, jnp.ones((2, 5, 8)))[0].shape, params["query"]["kernel"].shape
        ((2, 5, 8), (8, 8))

    Source: Vaswani et al. 2017, section 3.2.

    Elsewhere: Flax has the same names, and kernels [D, N, H]; torch's `MultiheadAttention` keeps the first
    three in one `in_proj_weight`, transposed, and gives NaN to a query that may see nothing.
    """
    features = check_count("multi_head_attention(features)", features, 1)
    heads = check_count("multi_head_attention(heads)", heads, 1)
    kv_heads = check_count("multi_head_attention(kv_heads)", heads if kv_heads is None else kv_heads, 1)
    for name, whole, part in (("heads", features, heads), ("kv_heads", heads, kv_heads)):
        if whole % part:
            raise ValueError(
                f"multi_head_attention({name}) is {part}, expected a divisor of {whole}, the number of "
                f"{'features' if name == 'heads' else 'heads'}."
            )
    if rotary_base is not None:
        if cross:
            raise ValueError(
                "multi_head_attention(rotary_base) needs one sequence, expected None if cross=True."
            )
        rotary_base = check_number("multi_head_attention(rotary_base)", rotary_base, "(0, inf)")
    if dropout is not None:
        dropout = check_number("multi_head_attention(dropout)", dropout, "[0, 1]")
    if scale is not None:
        scale = check_number("multi_head_attention(scale)", scale)

    def projection(size: int) -> Dense:
        return dense(size, use_bias=use_bias, kernel_init=kernel_init, bias_init=bias_init)

    return MultiHeadAttention(
        projection(features),
        projection(features // heads * kv_heads),
        projection(features // heads * kv_heads),
        projection(features),
        dropout,
        rotary_base,
        scale,
        heads,
        kv_heads,
        causal,
        cross,
    )

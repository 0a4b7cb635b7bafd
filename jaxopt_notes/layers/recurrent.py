"""What recurrent layers share: a loop over time, masks, and the carry between two stretches of a sequence.

A recurrent layer goes through time with a `lax.scan`. Gates stand side by side in its kernels, [I, G·H] and
[H, G·H], each drawn by itself, so that an initializer sees the shape [H, H] that it is meant for. A step
multiplies the input and the state beside each other, [x, h]·[W; R], in one product. To multiply
all inputs before the loop is what one would do first: on a CPU it took up to 1.8 times as long (64 sequences
of 100 steps, 128 inputs, 256 units), because the large product leaves the caches.

A `mask` [B, T] says by True which steps are there. Where it is False the carry stays and the output is 0,
so padding anywhere changes nothing; `sequence_mask` makes one from lengths. Layers compose as any others:
`serial(lstm(64), dropout(0.2), lstm(64))` is stacked, `bidirectional(lstm(64))` goes both ways, and the mask
reaches them all. For a sequence in stretches (streams, truncated backpropagation through time) `scan` takes
a carry and returns one.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers import check_initializer
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.layer import Shaped, along_last, check_features, floating, parameter_dtype
from jaxopt_notes.record import check_count

__all__ = ["sequence_mask"]


class Recurrent:
    """`init`, `apply` and `scan` of a recurrent layer, from the number of its gates and its `step`."""

    gates: int
    features: int
    reverse: bool
    return_sequences: bool
    unroll: int
    kernel_init: Initializer
    recurrent_init: Initializer
    bias_init: Initializer

    def step(self, weights: Tree, carry: Tree, x: jax.Array) -> tuple[Any, jax.Array]:
        """The carry after a step, and the output; from `weights`, the carry before and the input [B, I]."""
        raise NotImplementedError

    def weights(self, params: Tree, dtype: DTypeLike) -> Tree:
        """What a step multiplies with: both kernels, in a dtype, one above the other, and the bias."""
        kernels = [params[name]["kernel"].astype(dtype) for name in ("input", "recurrent")]
        return {"kernel": jnp.concatenate(kernels), "bias": params["input"]["bias"]}

    def initial_carry(self, batch: int, dtype: DTypeLike = jnp.float32) -> Tree:
        """Zeros [B, H], from which a sequence starts."""
        return jnp.zeros((batch, self.features), dtype)

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        check_sequence(type(self).__name__.lower(), x)
        dtype, size = parameter_dtype(x), self.features
        keys = [jax.random.fold_in(key, i) for i in range(3)]

        def drawn(init: Any, key: jax.Array, inputs: int) -> jax.Array:
            each = [init(jax.random.fold_in(key, i), (inputs, size), dtype) for i in range(self.gates)]
            return jnp.concatenate(each, axis=-1)

        bias = self.bias_init(keys[2], (self.gates * size,), dtype)
        return {
            "input": {"kernel": drawn(self.kernel_init, keys[0], x.shape[-1]), "bias": bias},
            "recurrent": {"kernel": drawn(self.recurrent_init, keys[1], size)},
        }, ()

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: jax.Array,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        mask: jax.Array | None = None,
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_sequence(type(self).__name__.lower(), x)
        carry, ys = self.scan(params, self.initial_carry(x.shape[0], compute_dtype(x)), x, mask)
        last = carry[0] if isinstance(carry, tuple) else carry
        return (ys if self.return_sequences else last).astype(x.dtype), state

    def scan(
        self, params: Tree, carry: Any, x: jax.Array, mask: jax.Array | None = None
    ) -> tuple[Any, jax.Array]:
        """Go through a stretch of a sequence.

        Arguments:
            params: as from `init`.
            carry: where the stretch before ended, or `initial_carry(batch)`.
            x: [B, T, I].
            mask: [B, T], True where a step is there; `None` if all are.

        Returns:
            The carry at the end, and the outputs [B, T, H], 0 where the mask is False.
        """
        x, kernel = floating(x), params["input"]["kernel"]
        check_features(type(self).__name__.lower(), x, kernel.shape[0])
        check_mask(mask, x.shape[:2])
        weights = self.weights(params, x.dtype)

        def body(carry: Tree, now: tuple) -> tuple[Any, jax.Array]:
            x, there = now
            after, y = self.step(weights, carry, x)
            if there is not None:
                there = there[:, None]
                after = jax.tree.map(lambda new, old: jnp.where(there, new, old), after, carry)
                y = jnp.where(there, y, jnp.zeros_like(y))
            return after, y.astype(x.dtype)

        steps = jnp.swapaxes(x, 0, 1), None if mask is None else mask.T
        carry, ys = lax.scan(body, carry, steps, reverse=self.reverse, unroll=self.unroll)
        return carry, jnp.swapaxes(ys, 0, 1)


def wide_product(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """x·kernel + bias, multiplied in the dtype of the kernel, summed and returned in at least float32."""
    y = jnp.matmul(x.astype(kernel.dtype), kernel, preferred_element_type=compute_dtype(kernel))
    return y + along_last(bias, y)


def joint_product(x: jax.Array, h: jax.Array, weights: Tree) -> jax.Array:
    """[x, h]·[W; R] + b."""
    return wide_product(jnp.concatenate([x, h.astype(x.dtype)], axis=-1), **weights)


def sequence_mask(lengths: jax.Array, steps: int) -> jax.Array:
    """True for the first steps of each sequence, as many as it has.

        mask[b, t] = t < lengths[b]

    Arguments:
        lengths: [B], whole numbers.
        steps: T, the length to which the sequences are padded.

    Returns:
        [B, T] bools.

    Example:
        >>> sequence_mask(jnp.array([1, 3]), 3)
        Array([[ True, False, False],
               [ True,  True,  True]], dtype=bool)
    """
    return jnp.arange(steps, dtype=jnp.int32)[None, :] < jnp.asarray(lengths).astype(jnp.int32)[:, None]


def check_sequence(layer: str, x: Shaped) -> None:
    """Raise unless x has the rank of a batch of sequences."""
    if len(x.shape) != 3:
        raise ValueError(
            f"{layer}(x) has shape {tuple(x.shape)}, expected [batch, time, features]: give a single "
            "number at each time an axis of its own, x[..., None], and tokens an embedding."
        )


def check_mask(mask: Any, shape: tuple[int, ...]) -> None:
    """Raise unless a mask has a bool for each step of each sequence."""
    if mask is not None and (mask.shape != shape or mask.dtype != jnp.bool_):
        raise ValueError(
            f"mask is {mask.dtype}{list(mask.shape)}, expected bool{list(shape)}, a bool for each sequence "
            "and step: make it from lengths with sequence_mask(lengths, steps)."
        )


def checked(name: str, features: int, unroll: int, *initializers: Any) -> dict[str, Any]:
    """The arguments that all recurrent layers have, as fields of their records."""
    names = ("kernel_init", "recurrent_init", "bias_init")
    pairs = zip(names, initializers, strict=True)
    return {
        "features": check_count(f"{name}(features)", features, 1),
        "unroll": check_count(f"{name}(unroll)", unroll, 1),
        **{field: check_initializer(f"{name}({field})", init) for field, init in pairs},
    }

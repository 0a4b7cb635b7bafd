"""The moments that an optimizer keeps of its gradients, and the precision they are kept in.

An optimizer allots its moments with `moments(params, orders, state_dtype)` and hands them to
`leafwise`, which reads and writes them in whatever form they are in; a formula sees float32.

    None        the dtype of the parameters, at least float32      4 bytes a moment
    "float32"   float32 for parameters of any dtype                4
    "bfloat16"  bfloat16, rounded at random                        2
    "packed"    two moments as bfloat16 halves of one word         2, and half the traffic
    "8bit"      a byte, and a scale for each block of 256          1

Rounding is *stochastic*: up or down with the probability that makes the mean right. Rounded to nearest, an
average that moves by less than half a unit in the last place never moves, and in bfloat16 that is
every second moment at b2 = 0.999. The random bits are a hash of the entry's position and of the number
of times the moments were written: no key to carry, no memory to read, the same numbers on each run.

Encoded moments carry no derivative: hyperparameters are differentiated with `state_dtype=None`.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter, zeros_like
from jaxopt_notes.record import Number, check_choice, record, static

STATE_DTYPES = (None, "float32", "bfloat16", "packed", "8bit")
BLOCK = 256
SMALLEST_IN_BLOCKS = 4096  # smaller leaves (biases, scales) are kept exactly


@record
class Shared:
    """The slot of a moment that is in the words of the one before it: nothing of its own."""


@record
class LowPrecision:
    """Encoded moments: for each leaf its words, and how often they were written (the seed of rounding)."""

    leaves: Tree
    step: jax.Array


@record
class Blocks:
    """One moment of one leaf in 8 bits: codes [blocks, 256], and the largest magnitude of each block."""

    codes: jax.Array
    scales: jax.Array
    shape: tuple[int, ...] = static()
    order: int = static()


def moments(
    params: Tree, orders: tuple[int, ...], state_dtype: str | None = None, initial: Number = 0.0
) -> tuple[Tree, ...]:
    """Moments of the parameters' shapes: one slot for `leafwise` for each order.

    Arguments:
        params: the parameters.
        orders: 1 for an average of gradients (it may be negative, or complex), 2 for one of squares or
            magnitudes (real and never negative).
        state_dtype: one of the names above.
        initial: what they start from.

    Returns:
        A slot for each order: a tree like the parameters, a `LowPrecision`, or `Shared` if this
        moment is in the words of the one before it.
    """
    dtype = np.float32 if state_dtype == "float32" else None
    zeros = [zeros_like(params, dtype, real=order == 2) for order in orders]
    start = as_hyperparameter(initial)
    plain = [jax.tree.map(lambda x: x + start.astype(x.dtype), tree) for tree in zeros]
    if state_dtype in (None, "float32"):
        return tuple(plain)
    slots: list[Any] = []
    size = 2 if state_dtype == "packed" else 1
    for i in range(0, len(orders), size):
        group = orders[i : i + size]
        leaves = jax.tree.map(lambda *x, o=group: _allot(x, o, state_dtype), *plain[i : i + size])
        slots += [LowPrecision(leaves, jnp.zeros((), jnp.uint32))] + [Shared()] * (len(group) - 1)
    return tuple(slots)


def _allot(values: tuple[jax.Array, ...], orders: tuple[int, ...], state_dtype: str) -> Tree:
    """The encoded leaf for the moments of one parameter."""
    x, *_ = values
    if any(map(jnp.iscomplexobj, values)) or (state_dtype == "8bit" and x.size < SMALLEST_IN_BLOCKS):
        return values
    if state_dtype == "8bit":
        like: Any = Blocks(jnp.zeros(0), jnp.zeros(0), x.shape, orders[0])
    else:
        like = jnp.zeros(x.shape, jnp.uint32 if len(values) == 2 else jnp.bfloat16)
    return encode(values, like, jnp.uint32(0))


def read(slot: Any) -> Tree:
    """The (first) moment that a slot holds, as a tree of floating-point leaves."""
    if not isinstance(slot, LowPrecision):
        return slot
    return jax.tree.map(
        lambda leaf: decode(leaf)[0], slot.leaves, is_leaf=lambda leaf: isinstance(leaf, tuple | Blocks)
    )


def check_state_dtype(where: str, value: Any) -> str | None:
    """The name of a precision that `moments` knows; a dtype stands for its name."""
    name = value if value is None or isinstance(value, str) else np.dtype(value).name
    return check_choice(where, name, STATE_DTYPES)


def decode(leaf: Any) -> tuple[jax.Array, ...]:
    """The moments in one encoded leaf, in float32."""
    if isinstance(leaf, tuple):
        return leaf
    if isinstance(leaf, Blocks):
        return (_from_blocks(leaf),)
    if leaf.dtype == jnp.bfloat16:
        return (leaf.astype(jnp.float32),)
    high = lax.bitcast_convert_type(leaf & jnp.uint32(0xFFFF0000), jnp.float32)
    return high, lax.bitcast_convert_type(leaf << jnp.uint32(16), jnp.float32)


def encode(values: tuple[jax.Array, ...], like: Any, seed: jax.Array) -> Any:
    """New moments in the form of the encoded leaf `like`, rounded at random."""
    if isinstance(like, tuple):
        return tuple(x.astype(old.dtype) for x, old in zip(values, like, strict=True))
    values = tuple(_no_derivative(x.astype(jnp.float32)) for x in values)
    noise = random_bits(values[0].shape, seed)
    if isinstance(like, Blocks):
        return _to_blocks(values[0], noise, like)
    high = _round_at_random(values[0], noise)
    if len(values) == 1:
        return lax.bitcast_convert_type((high >> jnp.uint32(16)).astype(jnp.uint16), jnp.bfloat16)
    return high | (_round_at_random(values[1], noise >> jnp.uint32(16)) >> jnp.uint32(16))


def random_bits(shape: tuple[int, ...], seed: jax.Array) -> jax.Array:
    """32 bits for each entry: a hash of its position and of `seed` (uint32)."""
    strides = np.cumprod((1, *shape[:0:-1]), dtype=np.int64)[::-1].astype(np.uint32)
    index = jnp.zeros(shape, jnp.uint32)
    for axis, stride in enumerate(strides[-len(shape) :] if shape else ()):
        index = index + lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride)
    return _mix(index ^ _mix(seed + jnp.uint32(0x9E3779B9)))


def _mix(x: jax.Array) -> jax.Array:
    """An integer hash of low bias (Wellons 2018, "Prospecting for hash functions")."""
    x = (x ^ (x >> jnp.uint32(16))) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> jnp.uint32(15))) * jnp.uint32(0x846CA68B)
    return x ^ (x >> jnp.uint32(16))


def _round_at_random(x: jax.Array, noise: jax.Array) -> jax.Array:
    """The word of x with its lower half rounded away: carried upwards as often as it is large."""
    word = lax.bitcast_convert_type(x, jnp.uint32) + (noise & jnp.uint32(0xFFFF))
    return word & jnp.uint32(0xFFFF0000)


# 8 bits: the levels are powers of evenly spaced numbers, signed squares for gradients and fourth powers
# for squares, so that small entries beside a large one keep their sign and their size.
_STEPS, _POWER, _ZERO = {1: 127.0, 2: 255.0}, {1: 2, 2: 4}, {1: 128.0, 2: 0.0}


def _to_blocks(x: jax.Array, noise: jax.Array, like: Blocks) -> Blocks:
    x, noise = (_in_blocks(a) for a in (x, noise))
    steps, power = _STEPS[like.order], _POWER[like.order]
    scales = jnp.max(jnp.abs(x), axis=1, keepdims=True)
    part = jnp.abs(x) / jnp.where(scales > 0, scales, 1)
    low = jnp.clip(jnp.floor(steps * part ** (1 / power)), 0, steps - 1)
    below, above = (low / steps) ** power, ((low + 1) / steps) ** power
    uniform = (noise >> jnp.uint32(8)).astype(jnp.float32) * np.float32(2**-24)
    level = low + (uniform * (above - below) < part - below).astype(jnp.float32)
    if like.order == 2:
        level = jnp.maximum(level, (part > 0).astype(jnp.float32))  # a square that was seen is never 0
    codes = jnp.sign(x) * level + _ZERO[like.order]
    return Blocks(codes.astype(jnp.uint8), scales, like.shape, like.order)


def _from_blocks(leaf: Blocks) -> jax.Array:
    level = leaf.codes.astype(jnp.float32) - _ZERO[leaf.order]
    part = jnp.sign(level) * jnp.abs(level / _STEPS[leaf.order]) ** _POWER[leaf.order]
    return (part * leaf.scales).reshape(-1)[: math.prod(leaf.shape)].reshape(leaf.shape)


def _in_blocks(x: jax.Array) -> jax.Array:
    return jnp.pad(x.reshape(-1), (0, -x.size % BLOCK)).reshape(-1, BLOCK)


@jax.custom_jvp
def _no_derivative(x: jax.Array) -> jax.Array:
    return x


@_no_derivative.defjvp
def _refuse(primals: tuple, tangents: tuple) -> tuple:
    raise TypeError(
        "state_dtype: moments of low precision carry no derivative, so a training run that keeps them "
        "cannot be differentiated with respect to its hyperparameters; use state_dtype=None for that."
    )

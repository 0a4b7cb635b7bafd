"""What all augmentations share: the call, the dtype, and numbers drawn for each example.

Most augmentations change the inputs alone. Their records derive from `Augmentation` and have one method,
`inputs(key, x)`; the call hands the targets on.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import as_hyperparameter, compute_dtype, is_float
from jaxopt_notes.record import Number, check_number

__all__ = ["Augmentation"]


class Augmentation:
    """A batch made anew: `augment(key, x, y) -> (x, y)`.

    Example:
        >>> from jaxopt_notes.data.augmentation.flip import random_flip
        >>> x, y = random_flip(1.0)(jax.random.key(0), jnp.arange(4.0).reshape(1, 1, 4, 1), jnp.array([7]))
        >>> x.ravel().tolist(), y.tolist()
        ([3.0, 2.0, 1.0, 0.0], [7])
    """

    def __call__(self, key: jax.Array, x: ArrayLike, y: ArrayLike | None = None) -> tuple[jax.Array, Any]:
        return self.inputs(key, jnp.asarray(x)), y

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        """The inputs made anew."""
        raise NotImplementedError


def images(where: str, x: ArrayLike) -> jax.Array:
    """The array, if it is a batch of images.

    Raises:
        ValueError: it has not four axes.
    """
    x = jnp.asarray(x)
    if x.ndim != 4:
        raise ValueError(
            f"{where} was given shape {x.shape}, expected images [B, H, W, C]: rows of pixels become images "
            f"by x.reshape(-1, height, width, channels), and a single one by x[None]."
        )
    return x


def in_floats(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """`function(x)` in at least float32, then in the dtype of x: whole numbers are rounded and clipped."""
    y = function(x.astype(compute_dtype(x)))
    if is_float(x):
        return y.astype(x.dtype)
    if x.dtype == bool:
        return y > 0.5
    bounds = jnp.iinfo(x.dtype)
    return jnp.clip(jnp.round(y), bounds.min, bounds.max).astype(x.dtype)


def each(numbers: Any, like: jax.Array) -> jax.Array:
    """A number for each example (or one for all) beside arrays [B, …]: [B, 1, …], in their dtype."""
    numbers = jnp.asarray(numbers).astype(like.dtype)
    numbers = jnp.broadcast_to(numbers, like.shape[:1])
    return numbers.reshape(numbers.shape + (1,) * (like.ndim - 1))


def symmetric(key: jax.Array, strength: Number, n: int) -> jax.Array:
    """n numbers from −strength to strength."""
    draws = jax.random.uniform(key, (n,), jnp.float32, -1, 1)  # the same draws under x64
    return as_hyperparameter(strength) * draws.astype(jnp.result_type(float))


def between(key: jax.Array, bounds: tuple[Number, Number], shape: tuple[int, ...]) -> jax.Array:
    """Numbers from one bound to the other; exactly the bound where both are equal."""
    low, high = map(as_hyperparameter, bounds)
    draws = as_vector(lambda shape: jax.random.uniform(key, shape, jnp.float32), shape)
    return low + (high - low) * draws.astype(low.dtype)


def chosen(key: jax.Array, rate: Number, shape: tuple[int, ...]) -> jax.Array:
    """Bools, each true with probability `rate`: never at 0, always at 1."""
    draws = as_vector(lambda shape: jax.random.uniform(key, shape, jnp.float32), shape)
    return draws < as_hyperparameter(rate).astype(jnp.float32)


def check_rate(where: str, value: Any) -> Number:
    """A probability."""
    return check_number(where, value, "[0, 1]", "it is a probability; 0 switches it off")


def check_pair(where: str, value: Any, interval: str) -> tuple[Number, Number]:
    """Two numbers in an interval; a single one stands for both.

    Raises:
        TypeError: neither a number nor two. ValueError: a number outside the interval, or low above high.
    """
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise TypeError(f"{where} is {value!r}, expected a number or two.")
    first, second = (check_number(where, number, interval) for number in pair)
    return first, second

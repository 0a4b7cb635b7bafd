"""The protocol of an initializer: anything called `(key, shape, dtype)`, a record or a function."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.typing import DTypeLike

from jaxopt_notes.record import as_leaf, is_function

__all__ = ["check_initializer"]

Initializer = Callable[[jax.Array, Sequence[int], DTypeLike], jax.Array]  # called (key, shape, dtype)


def check_initializer(where: str, init: Any) -> Initializer:
    """An initializer fit to be a leaf of a layer.

    Arguments:
        where: the argument's name with its factory, as in "dense(kernel_init)".
        init: an initializer of `jaxopt_notes.initializers`, of JAX or Flax, or any function so called.

    Raises:
        TypeError: it cannot be called, such as a distribution of a search space, which shares its name.

    Example:
        >>> check_initializer("dense(kernel_init)", 0.01)
        Traceback (most recent call last):
        TypeError: dense(kernel_init) is 0.01, expected an initializer, called (key, shape, dtype): ...
    """
    if not is_function(init):
        raise TypeError(
            f"{where} is {init!r}, expected an initializer, called (key, shape, dtype): such as "
            "jn.initializers.normal(0.01) or jn.initializers.uniform(0.1), which are not the distributions "
            "jn.normal and jn.uniform to search over."
        )
    return as_leaf(init)

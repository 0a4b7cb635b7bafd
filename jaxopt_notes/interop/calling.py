"""How a module of another library is told that it trains: by an argument of its call, of many names."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree

TRAINING = ("train", "training", "is_training")
EVALUATION = ("deterministic", "inference", "use_running_average", "eval")


def mode_of_call(call: Callable, train: bool) -> dict[str, bool]:
    """The argument of a call that says whether it is one in training; none if the call has no such argument.

    Arguments:
        call: a function, or a module's `__call__`.
        train: whether it is.

    Example:
        >>> mode_of_call(lambda x, deterministic=True: x, train=True)
        {'deterministic': False}
    """
    names = inspect.signature(call).parameters
    told = dict.fromkeys(TRAINING, train) | dict.fromkeys(EVALUATION, not train)
    return {name: value for name, value in told.items() if name in names}


def as_before(state: Tree, old: Tree) -> Tree:
    """A state in the dtypes that it began with: Flax computes statistics in those of the input."""
    return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), state, old)


def takes(function: Any, name: str) -> bool:
    """Whether a function has an argument of that name."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # no function, or a builtin one
        return False

"""What a strategy computes in NumPy, inside somebody's transformation too."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxopt_notes.search.strategies.trials import is_traced


def on_host(function: Callable, shapes: Any, *arguments: Any) -> Any:
    """What the function makes of the arguments as NumPy arrays; inside a transformation by a callback."""

    def call(*arguments: Any) -> Any:
        return function(*jax.tree.map(np.asarray, arguments))

    if is_traced(arguments):
        arguments = jax.lax.stop_gradient(arguments)  # a callback has no derivative
        return jax.pure_callback(call, shapes, *arguments, vmap_method="sequential")
    return call(*arguments)

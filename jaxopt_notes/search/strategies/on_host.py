"""What a strategy computes in NumPy, inside somebody's transformation too."""

import contextlib
from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """What is computed inside is the work of the CPU, if JAX may use it: others compile for longer."""
    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # as JAX_PLATFORMS=tpu says
        host = None
    with jax.default_device(host):
        yield

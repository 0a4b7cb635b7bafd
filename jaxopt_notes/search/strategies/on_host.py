"""What a strategy computes in NumPy, inside somebody's transformation too."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.search.strategies.trials import is_traced


def on_host(function: Callable, shapes: Any, *arguments: Any) -> Any:
    """What the function makes of the arguments as NumPy arrays; inside a transformation by a callback."""
    if not is_traced(arguments):
        return function(*jax.tree.map(np.asarray, arguments))
    arguments = jax.lax.stop_gradient(arguments)  # a callback has no derivative
    kinds = jax.tree.map(jnp.result_type, arguments)

    def call(arguments: Any) -> Any:
        return jax.tree.map(_halves, function(*jax.tree.map(_whole, arguments, kinds)))

    crossing = jax.eval_shape(lambda shapes: jax.tree.map(_halves_of_traced, shapes), shapes)
    halves = jax.pure_callback(
        call, crossing, jax.tree.map(_halves_of_traced, arguments), vmap_method="sequential"
    )
    return jax.tree.map(lambda half, like: jax.lax.bitcast_convert_type(half, like.dtype), halves, shapes)


# XLA may call back from a thread of its own, where `jax.enable_x64` around the caller means nothing: there,
# JAX narrows what has 64 bits. So such numbers cross as two of 32.
def _halves_of_traced(leaf: Any) -> jax.Array:
    leaf = jnp.asarray(leaf)
    return jax.lax.bitcast_convert_type(leaf, jnp.uint32) if leaf.dtype.itemsize == 8 else leaf


def _halves(leaf: np.ndarray) -> np.ndarray:
    leaf = np.ascontiguousarray(leaf).reshape(np.shape(leaf))
    return leaf[..., None].view(np.uint32) if leaf.dtype.itemsize == 8 else leaf


def _whole(leaf: Any, kind: np.dtype) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf if leaf.dtype == kind else leaf.view(kind)[..., 0]


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """What is computed inside is the work of the CPU, if JAX may use it: others compile for longer."""
    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # as JAX_PLATFORMS=tpu says
        host = None
    with jax.default_device(host):
        yield

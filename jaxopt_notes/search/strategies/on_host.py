"""What a strategy computes in NumPy, inside somebody's transformation too."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.search.strategies.trials import is_traced


def on_host(function: Callable, shapes: Any, *arguments: Any) -> Tree:
    """What the function makes of the arguments as NumPy arrays; inside a transformation by a callback."""
    if not is_traced(arguments):
        with one_blas_thread():
            return function(*jax.tree.map(np.asarray, arguments))
    arguments = jax.lax.stop_gradient(arguments)  # a callback has no derivative
    kinds = jax.tree.map(jnp.result_type, arguments)

    def call(arguments: Any) -> Tree:
        with one_blas_thread():
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


def one_blas_thread() -> contextlib.AbstractContextManager:
    """NumPy's and SciPy's products and factors inside have one thread, where threadpoolctl is installed.

    Both wheels bring an OpenBLAS, whose threads wait for work spinning: with matrices of some hundred rows
    one pool keeps the other, and every other process, from the cores, and takes many times as long as alone.
    """
    controller = _blas("scipy.linalg" in sys.modules)
    return contextlib.nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


@functools.cache
def _blas(scipy_is_loaded: bool) -> Any:
    """What sets the threads of the libraries loaded by now; SciPy's is slow to load, and not all need it."""
    try:
        import threadpoolctl
    except ImportError:  # it comes with scikit-learn
        return None
    return threadpoolctl.ThreadpoolController()

"""What layers around another layer's kernel share: the other runs as it is, with another kernel.

`weight_norm`, `weight_standardization`, `spectral_norm` and `drop_connect` hold a layer with one kernel
(dense, a convolution of any kind), whose parameters are theirs. The last axis of a kernel is its outputs; all
others, what one output sums over, count as one.
"""

from typing import Any

import jax

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.layers.children import Extra, run, start
from jaxopt_notes.layers.layer import Layer, Shaped

__all__: list[str] = []


def start_inner(name: str, layer: Layer, key: jax.Array, x: Shaped, extra: Extra) -> dict[str, Any]:
    """The parameters of the inner layer.

    Raises:
        ValueError: it has no kernel, or a state.
    """
    params, state = start(layer, key, x, extra)
    if "kernel" not in params or jax.tree.leaves(state):
        raise ValueError(
            f"{name}(layer) is {layer!r}, whose parameters are {sorted(params)}, expected a layer with one "
            "kernel and no state, such as dense or conv: wrap the layers in a model one by one."
        )
    return dict(params)


def run_inner(
    layer: Layer, params: Tree, kernel: jax.Array, x: Tree, key: jax.Array | None, train: bool, extra: Extra
) -> Any:
    """What the inner layer makes of x with another kernel."""
    return run(layer, {**params, "kernel": kernel.astype(params["kernel"].dtype)}, (), x, key, train, extra)[
        0
    ]


def wide(kernel: jax.Array) -> jax.Array:
    """The kernel in at least float32."""
    return kernel.astype(compute_dtype(kernel))


def check_layer(name: str, layer: Layer) -> Layer:
    """Raise unless it is a layer: a number in its place is a frequent slip."""
    if not isinstance(layer, Layer):
        raise TypeError(f"{name}(layer) is {layer!r}, expected a layer with a kernel, such as dense(16).")
    return layer

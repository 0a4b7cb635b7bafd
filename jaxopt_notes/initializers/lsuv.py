"""LSUV: orthogonal weights, scaled layer by layer until the outputs on a batch have variance 1.

No formula for the activation is needed, the data says what each layer gets. Layers are set in the order in
which the data passes them, in one forward pass: what a layer makes is linear in its kernel, so one division
is exact where the paper iterates.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers.probe import probe

__all__ = ["lsuv"]


def lsuv(model: Any, key: jax.Array, x: jax.Array) -> tuple[Tree, Tree]:
    """Initial parameters under which the outputs of each layer have variance 1 on a batch.

        W ← W/√Var[W * x], each dense layer and convolution in turn

    Arguments:
        model: a layer of any kind; those in it that have a kernel (and perhaps a bias) and nothing else are
            set. Give them `kernel_init=orthogonal()` for the paper's start.
        key: for the draws; they are those of `model.init(key, x)`.
        x: a batch of data [B, …], some hundred examples.

    Returns:
        `(params, state)`, as from `model.init`. A layer whose output does not vary is left as it is.

    Example:
        >>> from jaxopt_notes.layers import mlp
        >>> x = 7 * jax.random.normal(jax.random.key(1), (256, 8))
        >>> model = mlp([64] * 20 + [1], "tanh")
        >>> params, state = lsuv(model, jax.random.key(0), x)
        >>> print(f"{model.apply(params, state, x)[0].var():.3f}")
        1.000

    Source: Mishkin & Matas 2016, algorithm 1.

    Elsewhere: no library has it built in.
    """
    return probe(model, key, x, _has_kernel, _scaled)


def _has_kernel(node: Any) -> bool:
    return hasattr(node, "kernel_init") and hasattr(node, "apply")


def _scaled(params: Tree, run: Callable[[Tree], jax.Array]) -> Tree:
    if not isinstance(params, dict) or not {"kernel"} <= set(params) <= {"kernel", "bias"}:
        return params
    y = run(params)
    variance = jnp.var(y.astype(compute_dtype(y)))
    factor = jnp.where(variance > 0, jax.lax.rsqrt(jnp.where(variance > 0, variance, 1)), 1)
    return {**params, "kernel": params["kernel"] * factor.astype(params["kernel"].dtype)}

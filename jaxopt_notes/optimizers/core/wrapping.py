"""Stepping an optimizer that another one wraps.

A wrapper decides whether a step is taken (`accept`), and may hand on gradients and parameters in a
wider dtype than they came in, so that nothing is rounded on the way. An optimizer that is not `gated`
makes its step always; here it is taken back.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, cast_like, compute_dtype, is_float, is_none
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform


def update_inner(
    optimizer: GradientTransform, updates: Tree, state: Any, params: Tree, accept: Accept, extra: dict
) -> tuple[Tree, Any]:
    """The updates and the state of a wrapped optimizer; where `accept` is False, zeros and the old state.

    Arguments:
        optimizer: any optimizer or chain.
        updates, state, params: what its `update` takes.
        accept: a bool scalar, or `None` for a step that is always taken.
        extra: further arguments of its `update`.
    """
    if accept is None:
        return optimizer.update(updates, state, params, **extra)
    if getattr(optimizer, "gated", False):
        return optimizer.update(updates, state, params, accept=accept, **extra)
    updates, new = optimizer.update(updates, state, params, **extra)
    updates = jax.tree.map(lambda u: jnp.where(accept, u, jnp.zeros_like(u)), updates)
    return updates, select(accept, new, state)


def select(accept: Accept, new: Tree, old: Tree) -> Tree:
    """The new state of a step that is taken (`None`: always), else the old one."""
    return new if accept is None else jax.tree.map(lambda a, b: jnp.where(accept, a, b), new, old)


def widened(tree: Tree) -> Tree:
    """Every floating-point leaf in at least float32."""
    return jax.tree.map(lambda x: jnp.asarray(x).astype(compute_dtype(x)) if is_float(x) else x, tree)


def narrowed(updates: Tree, like: Tree) -> Tree:
    """Every floating-point update in the dtype of the leaf that it belongs to."""
    return jax.tree.map(
        lambda u, x: cast_like(u, x) if is_float(u) and x is not None else u, updates, like, is_leaf=is_none
    )

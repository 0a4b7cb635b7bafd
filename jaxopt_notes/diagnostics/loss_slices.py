"""The loss around a point: along a line, over a plane, with directions made fit to be compared.

A network with rectifiers and large weights looks flat and one with small weights sharp, though both are the
same function. Directions whose filters have the norms of the network's own filters take that away.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.diagnostics.curvature import Loss
from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_none
from jaxopt_notes.norms import norm_over
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.optimizers.core.trainable import merge, moving

__all__ = ["filter_normalized_direction", "loss_slice", "loss_surface", "path_between"]


def filter_normalized_direction(key: jax.Array, params: Tree) -> Tree:
    """A random direction whose every filter is as long as the filter of the network in its place.

        d_{lj} ← d_{lj}/‖d_{lj}‖·‖θ_{lj}‖,     j the units of layer l;     d = 0 for biases and scales

    Arguments:
        key: a typed random key.
        params: a tree of kernels [..., units].

    Returns:
        A tree like the parameters, `None` for leaves that are not floating-point; 0 of rank below 2.

    Example:
        >>> params = {"kernel": jnp.array([[3.0, 0.0], [4.0, 0.0]]), "bias": jnp.ones(2)}
        >>> d = jax.jit(filter_normalized_direction)(jax.random.key(0), params)
        >>> print(jnp.linalg.norm(d["kernel"], axis=0).round(4), d["bias"])
        [5. 0.] [0. 0.]

    Source: Li et al. 2018, "Visualizing the loss landscape of neural nets", section 4.
    """
    here, _ = moving(params, params)
    leaves, treedef = jax.tree.flatten(here)

    def one(i: int, leaf: jax.Array) -> jax.Array:
        if leaf.ndim < 2:
            return jnp.zeros_like(leaf)
        d = jax.random.normal(jax.random.fold_in(key, i), leaf.shape, leaf.dtype)
        of_unit = tuple(range(leaf.ndim - 1))
        return safe_divide(d, norm_over(d, of_unit).astype(d.dtype)) * norm_over(leaf, of_unit).astype(
            d.dtype
        )

    return jax.tree.unflatten(treedef, [one(i, leaf) for i, leaf in enumerate(leaves)])


def path_between(start: Tree, end: Tree) -> Tree:
    """The direction from one point to another: `loss_slice` with steps of 0 … 1 goes from here to there.

        d = θ' − θ

    Arguments:
        start, end: trees of one structure, such as the parameters of two trained networks.

    Returns:
        A tree like them, `None` for leaves that are not floating-point.

    Example:
        >>> print(path_between({"w": jnp.array(1.0)}, {"w": jnp.array(3.0)})["w"])
        2.0

    Source: Goodfellow, Vinyals & Saxe 2015, "Qualitatively characterizing neural network optimization
    problems".
    """
    a, b = (moving(tree, tree)[0] for tree in (start, end))
    return jax.tree.map(jnp.subtract, b, a)


def loss_slice(loss: Loss, params: Tree, direction: Tree, steps: ArrayLike, *args: Any) -> jax.Array:
    """The loss along a line.

        L(θ + aᵢ·d)

    Arguments:
        loss: `loss(params, *args) -> scalar`.
        params: θ; leaves that are not floating-point stand still.
        direction: d, a tree like the parameters, `None` for leaves that stand still.
        steps: a [k].
        *args: what else the loss takes, such as x and y.

    Returns:
        [k], one value after the other: the memory is that of one.

    Example:
        >>> print(loss_slice(lambda x: x**2, 1.0, 2.0, jnp.array([-0.5, 0.0, 1.0])))
        [0. 1. 9.]

    Source: Goodfellow, Vinyals & Saxe 2015.
    """
    zero = jax.tree.map(lambda d: None if d is None else jnp.zeros_like(d), direction, is_leaf=is_none)
    steps = as_hyperparameter(steps)
    return loss_surface(loss, params, (direction, zero), steps, jnp.zeros(1, steps.dtype), *args)[:, 0]


def loss_surface(
    loss: Loss, params: Tree, directions: tuple[Tree, Tree], across: Any, up: Any, *args: Any
) -> jax.Array:
    """The loss over a plane.

        L(θ + aᵢ·d₁ + bⱼ·d₂)

    Arguments:
        loss, params, *args: see `loss_slice`.
        directions: (d₁, d₂), trees like the parameters: `filter_normalized_direction` with two keys.
        across, up: a [k] and b [m].

    Returns:
        [k, m].

    Example:
        >>> plane = (jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
        >>> at = jnp.array([0.0, 2.0])
        >>> print(loss_surface(lambda x: x[0] ** 2 - x[1], jnp.zeros(2), plane, at, at))
        [[ 0. -2.]
         [ 4.  2.]]

    Source: Li et al. 2018.
    """
    here, _ = moving(params, params)
    first, second = ({"of": moving(d, params)[0]}["of"] for d in directions)
    a, b = jnp.meshgrid(as_hyperparameter(across), as_hyperparameter(up), indexing="ij")

    def at(place: tuple) -> jax.Array:
        def moved(x: jax.Array, d: Any, e: Any) -> jax.Array:
            for size, way in zip(place, (d, e), strict=True):
                x = x if way is None else x + size.astype(x.dtype) * way.astype(x.dtype)
            return x

        return jnp.asarray(loss(merge(_map(moved, here, first, second), params), *args))

    values = lax.map(at, (a.ravel(), b.ravel()))
    return values.astype(compute_dtype(values)).reshape(a.shape)


def _map(function: Any, tree: Tree, *others: Tree) -> Tree:
    return jax.tree.map(
        lambda x, *rest: None if x is None else function(x, *rest), tree, *others, is_leaf=is_none
    )

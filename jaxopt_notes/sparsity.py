"""Sparsity: how many weights are zero, which to prune by their size, and what that saves.

    keep = magnitude_mask(params, 0.9)                  # bools: the tenth of the weights that is largest
    params = prune(params, keep)
    optimizer = pruned(adam(1e-4), keep)                # trains on; what was pruned stays 0

A penalty makes weights small, a threshold or a proximal step makes them zero, and only zeros save memory or
drop a feature.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree, as_hyperparameter, is_float, is_none
from jaxopt_notes.masks import MaskLike, as_mask, path_name, read_mask, weights_only
from jaxopt_notes.record import Number, check_choice, check_number
from jaxopt_notes.sharding import placed_like, whole

__all__ = ["count_small", "magnitude_mask", "prune", "sparsity_report"]


def magnitude_mask(
    params: Tree, fraction: Number, mask: MaskLike = weights_only, *, scope: str = "global"
) -> Tree:
    """Which weights to keep when the smallest ones are pruned.

        keepᵢ = |wᵢ| is not among the fraction f of the smallest

    Arguments:
        params: a tree.
        fraction: f in [0, 1], rounded to a number of weights; may be traced. Of equal magnitudes the first
            ones are kept.
        mask: what may be pruned; by default weights only.
        scope: "global", smallest of all weights together, or "leaf", the fraction of each. Static.

    Returns:
        A tree of bool arrays like the parameters, `None` for leaves that are kept whole.

    Raises:
        ValueError: a fraction outside [0, 1].

    Example:
        >>> params = {"kernel": jnp.array([[1.0, -3.0], [0.1, 2.0]]), "bias": jnp.zeros(2)}
        >>> print(magnitude_mask(params, 0.5)["kernel"])
        [[False  True]
         [False  True]]

    Source: Han et al. 2015, section 3.
    """
    check_choice("magnitude_mask(scope)", scope, ("global", "leaf"))
    fraction = check_number("magnitude_mask(fraction)", fraction, "[0, 1]", "0 keeps everything")
    share = as_hyperparameter(fraction)
    treedef: PyTreeDef
    leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
    chosen = treedef.flatten_up_to(read_mask(as_mask(mask), params))
    sizes = [
        whole(jnp.abs(jnp.asarray(leaf))).astype(jnp.result_type(float)).ravel()
        for leaf, own in zip(leaves, chosen, strict=True)
        if own and is_float(leaf)
    ]
    if scope == "leaf":
        rows = iter([_largest(size, share) for size in sizes])
    else:
        row = _largest(jnp.concatenate([jnp.zeros(0), *sizes]), share)
        ends = np.cumsum([size.size for size in sizes])
        rows = iter(jnp.split(row, ends[:-1]) if sizes else [])
    keep = [
        placed_like(next(rows).reshape(jnp.shape(leaf)), leaf) if own and is_float(leaf) else None
        for leaf, own in zip(leaves, chosen, strict=True)
    ]
    return jax.tree.unflatten(treedef, keep)


def _largest(sizes: jax.Array, fraction: jax.Array) -> jax.Array:
    """True for all but a fraction of the entries of a vector, the smallest ones."""
    count = sizes.size - jnp.round(fraction * sizes.size).astype(jnp.int32)
    ranks = jnp.argsort(jnp.argsort(sizes, descending=True))
    return ranks < count.astype(ranks.dtype)


def prune(params: Tree, keep: Tree) -> Tree:
    """Parameters with zeros where they are not kept.

        θ ← θ where m, else 0

    Arguments:
        params: a tree.
        keep: bool arrays like the parameters, `None` for leaves that are kept whole.

    Example:
        >>> prune(jnp.array([1.0, -3.0]), jnp.array([False, True]))
        Array([ 0., -3.], dtype=float32)

    Source: Han et al. 2015.
    """
    return jax.tree.map(
        lambda k, x: x if k is None else jnp.where(k, x, jnp.zeros_like(x)), keep, params, is_leaf=is_none
    )


def count_small(params: Tree, threshold: Number = 0.0, mask: MaskLike = weights_only) -> jax.Array:
    """The number of weights that are no larger than a threshold; with 0, of the exact zeros.

        #{i : |wᵢ| ≤ t}

    Arguments:
        params: a tree.
        threshold: t ≥ 0; may be traced.
        mask: what is counted; by default weights only, `None` for all.

    Returns:
        An int32 scalar.

    Example:
        >>> print(count_small({"kernel": jnp.array([[1e-3, -2.0, 0.0]])}, 0.01))
        2

    Source: the study notes, whose table says < 10⁻⁵ where the numbers in it are of < 10⁻⁴.
    """
    threshold = as_hyperparameter(check_number("count_small(threshold)", threshold, "[0, inf)"))
    treedef: PyTreeDef
    leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
    chosen = treedef.flatten_up_to(read_mask(as_mask(mask), params))
    total = jnp.zeros((), jnp.int32)
    for leaf, own in zip(leaves, chosen, strict=True):
        if own and is_float(leaf):
            total = total + jnp.sum(jnp.abs(leaf) <= threshold.astype(jnp.abs(leaf).dtype), dtype=jnp.int32)
    return total


def sparsity_report(params: Tree, mask: MaskLike = weights_only) -> dict[str, dict[str, Any]]:
    """Zeros and sizes of every kernel, and the memory that a sparse copy would take.

        bytes = non-zeros·(bytes of a value + 4 for its index)

    Arguments:
        params: a tree of concrete arrays.
        mask: what is reported; by default weights only.

    Returns:
        path → {"size", "zeros", "sparsity", "units", "dense_bytes", "sparse_bytes"}, and "total". "units" are
        those of a kernel [..., units] that have a weight left, `None` in the total.

    Example:
        >>> report = sparsity_report({"kernel": jnp.array([[1.0, 0.0], [0.0, 0.0]]), "bias": jnp.zeros(2)})
        >>> report["kernel"]["sparsity"], report["kernel"]["units"], report["total"]["zeros"]
        (0.75, 1, 3)

    Source: the study notes on L1: compress, save memory, drop features.
    """
    report: dict[str, dict[str, Any]] = {}
    kept = read_mask(as_mask(mask), params)
    for (path, leaf), own in zip(jax.tree.leaves_with_path(params), jax.tree.leaves(kept), strict=True):
        if own and is_float(leaf):
            array = np.asarray(leaf)
            alive = array != 0
            units = int(alive.reshape(-1, array.shape[-1]).any(axis=0).sum()) if array.ndim else int(alive)
            report[path_name(path)] = _entry(array.size, int(alive.sum()), units, array.dtype.itemsize)
    names = ("size", "zeros", "dense_bytes", "sparse_bytes")
    total = {name: sum(entry[name] for entry in report.values()) for name in names}
    sparsity = total["zeros"] / total["size"] if total["size"] else 0.0
    return report | {"total": {**total, "sparsity": sparsity, "units": None}}


def _entry(size: int, alive: int, units: int, itemsize: int) -> dict[str, Any]:
    zeros = size - alive
    return {
        "size": size, "zeros": zeros, "sparsity": zeros / size if size else 0.0, "units": units,
        "dense_bytes": size * itemsize, "sparse_bytes": alive * (itemsize + 4),
    }  # fmt: skip

"""How far a distribution has moved: of features between data sets, of a layer's inputs between two steps.

Internal covariate shift has two definitions. Ioffe & Szegedy mean the distribution of what comes into a
layer, which changes as the layers below learn: `distribution_shift` of its inputs before and after a step.
Santurkar et al. mean what optimization sees of it: how the gradient of a layer differs once the layers below
it have made their step, `internal_covariate_shift`. Batch normalization need not lower the second one.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.diagnostics.activation_stats import unit_stats
from jaxopt_notes.diagnostics.curvature import Loss
from jaxopt_notes.diagnostics.layer_tree import layers_of
from jaxopt_notes.dtypes import Tree, compute_dtype, is_float
from jaxopt_notes.masks import path_name
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.optimizers.core.trainable import moving, ravel

__all__ = ["DistributionShift", "GradientShift", "distribution_shift", "internal_covariate_shift"]


class DistributionShift(NamedTuple):
    """How far each feature has moved, arrays [features].

    Arguments:
        mean: how far its mean has, in standard deviations of where it was.
        std: by what factor its standard deviation has changed.
        ks: the largest distance between both distribution functions, in [0, 1] (Kolmogorov and Smirnov).

    Example:
        >>> shift = DistributionShift(jnp.zeros(1), jnp.ones(1), jnp.array([0.02]))
        >>> print(shift.ks.max())
        0.02
    """

    mean: jax.Array
    std: jax.Array
    ks: jax.Array


def distribution_shift(before: jax.Array, after: jax.Array) -> DistributionShift:
    """How far the distribution of each feature, or of each unit of a layer, has moved.

        (μ' − μ)/σ,     σ'/σ,     sup_t |F'(t) − F(t)|

    Arguments:
        before: [n, …, features]: training data, or what came into a layer before a step.
        after: [m, …, features]: test data, or what comes into it after.

    Returns:
        A `DistributionShift` of arrays [features]. Of two samples of one distribution KS is about
        √((n + m)/(n·m)); a constant feature that moves has an infinite shift of its mean.

    Raises:
        ValueError: other features.

    Example:
        >>> before, after = jnp.array([[0.0], [2.0]]), jnp.array([[1.0], [5.0]])
        >>> shift = jax.jit(distribution_shift)(before, after)
        >>> print(shift.mean, shift.std, shift.ks)
        [2.] [2.] [0.5]

    Source: Ioffe & Szegedy 2015, section 2, for layers; the study notes.
    """
    before, after = (jnp.asarray(x) for x in (before, after))
    before, after = (x.astype(compute_dtype(before, after)) for x in (before, after))
    if before.shape[-1:] != after.shape[-1:]:
        raise ValueError(
            f"distribution_shift(after) has shape {after.shape}, expected the features of before, whose "
            f"shape is {before.shape}."
        )
    old, new = unit_stats(before), unit_stats(after)
    rows, others = (x.reshape(-1, x.shape[-1]) for x in (before, after))
    ks = jax.vmap(_kolmogorov_smirnov, in_axes=1)(rows, others)
    moved = new.mean - old.mean
    return DistributionShift(
        jnp.where(moved == 0, jnp.zeros_like(moved), moved / old.std), new.std / old.std, ks
    )


def _kolmogorov_smirnov(a: jax.Array, b: jax.Array) -> jax.Array:
    a, b = jnp.sort(a), jnp.sort(b)
    at = jnp.concatenate([a, b])
    below = [jnp.searchsorted(x, at, side="right").astype(a.dtype) / len(x) for x in (a, b)]
    return jnp.max(jnp.abs(below[0] - below[1]))


class GradientShift(NamedTuple):
    """How a layer's gradient changes when the layers below it have moved.

    Arguments:
        distance: ‖G − G'‖.
        relative: ‖G − G'‖/‖G‖; 0 if both are 0.
        cosine: of the angle between G and G'; 1 where nothing has changed.

    Example:
        >>> shift = GradientShift(jnp.array(0.5), jnp.array(0.1), jnp.array(1.0))
        >>> print(shift.relative)
        0.1
    """

    distance: jax.Array
    relative: jax.Array
    cosine: jax.Array


def internal_covariate_shift(loss: Loss, before: Tree, after: Tree, *args: Any) -> dict[str, GradientShift]:
    """How each layer's gradient changes because the layers below it make their step.

        Gᵢ = ∂L/∂Wᵢ(W₁, …, W_k),     G'ᵢ = ∂L/∂Wᵢ(W'₁, …, W'ᵢ₋₁, Wᵢ, …, W_k)

    Arguments:
        loss: `loss(params, *args) -> scalar`, of one batch.
        before: W, the parameters before a step.
        after: W', after it.
        *args: what else the loss takes, such as x and y: the same batch for both.

    Returns:
        {path of the layer: GradientShift}, in the order of `layers_of`. The first layer's is 0, and so is
        that of a layer with only frozen ones below it. It takes one gradient for each layer.

    Example:
        >>> loss = lambda p: (p["layers_0"]["w"] * p["layers_1"]["w"]) ** 2  # by w₁: 2·w₀²·w₁
        >>> before, after = ({f"layers_{i}": {"w": jnp.array(w)} for i in (0, 1)} for w in (1.0, 3.0))
        >>> shift = internal_covariate_shift(loss, before, after)
        >>> print(shift["layers_0"].distance, shift["layers_1"].distance)
        0.0 16.0

    Source: Santurkar et al. 2018, definition 2.1.
    """
    names = list(layers_of(before))
    leaves, treedef = jax.tree.flatten_with_path(before)
    moved = jax.tree.leaves(after)
    place = [_layer(path) if is_float(leaf) else "" for path, leaf in leaves]
    found = {}
    for i, name in enumerate(names):
        mixed = [
            new if layer in names[:i] else old
            for (_, old), new, layer in zip(leaves, moved, place, strict=True)
        ]

        def of_layer(own: list, rest: list = mixed, name: str = name) -> jax.Array:
            given = iter(own)
            filled = [next(given) if layer == name else x for x, layer in zip(rest, place, strict=True)]
            return loss(jax.tree.unflatten(treedef, filled), *args)

        own = [leaf for (_, leaf), layer in zip(leaves, place, strict=True) if layer == name]
        start = [leaf for _, leaf in leaves]
        old, new = (jax.grad(of_layer)(own, rest) for rest in (start, mixed))
        size, distance = global_norm(old), global_norm(jax.tree.map(jnp.subtract, old, new))
        a, b = (ravel(moving(grads, grads)[0])[0] for grads in (old, new))
        lengths = size * global_norm(new)
        cosine = jnp.where(lengths > 0, safe_divide(jnp.sum(a * b), lengths), jnp.ones_like(size))
        found[name] = GradientShift(distance, safe_divide(distance, size), cosine)
    return found


def _layer(path: tuple) -> str:
    layer, _, name = path_name(path).rpartition("/")
    return layer or name

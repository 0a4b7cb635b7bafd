"""How gradients and updates are spread over the layers of a network.

Gradients that vanish or explode do so layer by layer, so their norms are compared from layer to layer, and an
update with the weights it moves.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.diagnostics.layer_tree import layers_of
from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.masks import path_name, weights_only
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import safe_divide

__all__ = ["bottom_to_top", "gradient_norms", "same_sign_fraction", "update_ratios"]


def gradient_norms(grads: Tree) -> dict[str, jax.Array]:
    """The norm of each layer's gradient.

        ‖∂L/∂θ_l‖₂     for each layer l

    Arguments:
        grads: gradients, or any tree like the parameters.

    Returns:
        {path of the layer: norm}, from the bottom (the inputs) to the top, as `layers_of` orders them.

    Example:
        >>> grads = {"layers_2": {"kernel": jnp.array([[3.0]]), "bias": jnp.array([4.0])}}
        >>> print(gradient_norms(grads)["layers_2"])
        5.0

    Source: the study notes: each sigmoid layer multiplies the gradient by at most ‖W‖/4, so that of the
    bottom layers vanishes first.
    """
    return {path: global_norm(leaves) for path, leaves in layers_of(grads).items()}


def bottom_to_top(grads: Tree) -> jax.Array:
    """The gradient of the first layer with weights, as a multiple of the last one's.

        ‖∂L/∂θ₁‖₂ / ‖∂L/∂θ_n‖₂

    Arguments:
        grads: gradients of a network. Layers without a leaf of rank 2 or more (normalization) do not count.

    Returns:
        A scalar: far below 1 where gradients vanish on their way down, far above where they explode; NaN if
        there are no weights.

    Example:
        >>> grads = {f"layers_{i}": {"kernel": jnp.full((1, 1), 10.0**i)} for i in (0, 2, 10)}
        >>> print(f"{bottom_to_top(grads):.0e}")
        1e-10

    Source: Glorot & Bengio 2010, figures 7 and 9, compare the layers' gradients so.
    """
    kept = layers_of(jax.tree.map(lambda g, own: g if own else None, grads, weights_only(grads)))
    norms = [norm for path, norm in gradient_norms(grads).items() if path in kept]
    return norms[0] / norms[-1] if norms else jnp.full((), jnp.nan, jnp.result_type(float))


def update_ratios(params: Tree, updates: Tree) -> dict[str, jax.Array]:
    """How large a step is beside what it moves, for each layer.

        ‖uₗ‖₂ / ‖θₗ‖₂

    Arguments:
        params: the parameters before the step.
        updates: what is added to them; `None` for what is not trained.

    Returns:
        {path of the layer: ratio}; about 1e-3 is healthy. Infinite for a layer of zeros that moves.

    Example:
        >>> params, updates = {"dense": {"kernel": jnp.ones((2, 2))}}, {"dense": {"kernel": jnp.eye(2) / 500}}
        >>> print(f"{update_ratios(params, updates)['dense']:.2g}")
        0.0014

    Source: the lectures CS231n, "Ratio of weights:updates".

    Elsewhere: `inspect` keeps both norms of all parameters together in an optimizer's state.
    """
    moved, norms = gradient_norms(updates), gradient_norms(params)
    return {path: norm / norms[path].astype(norm.dtype) for path, norm in moved.items()}


def same_sign_fraction(grads: Tree) -> dict[str, jax.Array]:
    """The share of a layer's units whose incoming weights are all pushed the same way.

        #{j : ∂L/∂wᵢⱼ ≥ 0 for all i, or ≤ 0 for all i} / #{j : ∂L/∂wⱼ ≠ 0}

    Arguments:
        grads: gradients, for this claim of one example: a mean over a batch mixes signs.

    Returns:
        {path of the kernel: share} for every weight [..., units]; 0 if no unit has a gradient. Since
        ∂L/∂wᵢⱼ = xᵢ·δⱼ for one example, it is 1 where all inputs are positive, and 2^(1 − n) at random signs.

    Example:
        >>> x, delta = jnp.array([0.2, 0.9]), jnp.array([1.0, -3.0, 0.0])
        >>> print(same_sign_fraction({"kernel": jnp.outer(x, delta)})["kernel"])
        1.0
        >>> print(same_sign_fraction({"kernel": jnp.outer(x - 0.5, delta)})["kernel"])
        0.0

    Source: the study notes, after CS231n: outputs of a sigmoid are positive, so the weights of a unit above
    rise together or fall together, and paths zig-zag.
    """
    chosen = jax.tree.leaves(weights_only(grads))
    found = {}
    for (path, leaf), own in zip(jax.tree.leaves_with_path(grads), chosen, strict=True):
        if own:
            rows = leaf.reshape(-1, leaf.shape[-1])
            least, most = jnp.min(rows, axis=0), jnp.max(rows, axis=0)
            moves = (least < 0) | (most > 0)
            one_way = moves & ((least >= 0) | (most <= 0))
            kind = compute_dtype(leaf)
            found[path_name(path)] = safe_divide(jnp.sum(one_way, dtype=kind), jnp.sum(moves, dtype=kind))
    return found

"""Parameters counted and measured, layer by layer: how many, how many are small, and their norms."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree, compute_dtype, is_float
from jaxopt_notes.masks import MaskLike, as_mask, path_name, read_mask, weights_only
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import abs_squared
from jaxopt_notes.record import check_choice
from jaxopt_notes.sparsity import count_small, sparsity_report

__all__ = ["count_params", "layer_norms", "parameter_report"]


def count_params(params: Tree, mask: MaskLike = None) -> int:
    """The number of parameters.

        Σ_l |θ_l|

    Arguments:
        params: a tree of arrays, or of their shapes (`jax.eval_shape`). Whole numbers do not count.
        mask: what is counted; by default all, `weights_only` leaves out biases and scales.

    Example:
        >>> params = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
        >>> count_params(params), count_params(params, "weights_only")
        (9, 6)

    Source: the study notes count weights only, 544 where biases make it 593.
    """
    chosen = jax.tree.leaves(read_mask(as_mask(mask), params))
    leaves = jax.tree.leaves(params)
    return sum(int(np.size(x)) for x, own in zip(leaves, chosen, strict=True) if own and is_float(x))


def layer_norms(
    params: Tree, order: str = "frobenius", mask: MaskLike = weights_only
) -> dict[str, jax.Array]:
    """A norm of each weight matrix.

        ‖W‖₁ = Σ|wᵢⱼ|,     ‖W‖_F = √Σwᵢⱼ²,     ‖W‖₂ = σ_max(W)

    Arguments:
        params: a tree.
        order: "l1", the sum of magnitudes, "frobenius", or "spectral", the largest singular value; static.
        mask: which leaves; by default weights only. [..., units] is read as a matrix [inputs, units].

    Returns:
        {path: norm}, in at least float32.

    Raises:
        ValueError: another order.

    Example:
        >>> params = {"kernel": jnp.array([[3.0, 0.0], [0.0, -4.0]])}
        >>> for order in ("l1", "frobenius", "spectral"):
        ...     print(f"{layer_norms(params, order)['kernel']:.1f}")
        7.0
        5.0
        4.0

    Source: the study notes, whose tables of "Norm 2" are spectral norms: the sum of magnitudes of 256 weights
    cannot be above 16 times Frobenius' norm, and in the table it is.
    """
    measure = {"l1": _l1, "frobenius": global_norm, "spectral": _spectral}[
        check_choice("layer_norms(order)", order, ("l1", "frobenius", "spectral"))
    ]
    chosen = jax.tree.leaves(read_mask(as_mask(mask), params))
    leaves = zip(jax.tree.leaves_with_path(params), chosen, strict=True)
    return {path_name(path): measure(jnp.asarray(x)) for (path, x), own in leaves if own and is_float(x)}


def _l1(x: jax.Array) -> jax.Array:
    x = x.astype(compute_dtype(x))
    return jnp.sum(jnp.sqrt(abs_squared(x)) if jnp.iscomplexobj(x) else jnp.abs(x))


def _spectral(x: jax.Array) -> jax.Array:
    x = x.astype(compute_dtype(x))
    return jnp.linalg.norm(x.reshape(-1, x.shape[-1]) if x.ndim else x.reshape(1, 1), 2)


def parameter_report(
    params: Tree, small: tuple[float, ...] = (1e-2, 1e-4), mask: MaskLike = weights_only
) -> dict[str, dict[str, Any]]:
    """How many weights each layer has, how many are small or zero, and its norms.

        size, #{|w| ≤ t} for each t, ‖W‖₁, ‖W‖_F, ‖W‖₂, zeros, sparsity, bytes

    Arguments:
        params: a tree of concrete arrays.
        small: thresholds t ≥ 0.
        mask: what is reported; by default weights only.

    Returns:
        path → {"size", "small": {t: count}, "l1", "frobenius", "spectral", and all of `sparsity_report`}, and
        "total", whose norms are those of all weights as one vector ("spectral" is `None` there).

    Example:
        >>> report = parameter_report({"kernel": jnp.array([[3.0, 0.0], [0.001, -4.0]])})
        >>> report["kernel"]["small"], report["total"]["zeros"]
        ({0.01: 2, 0.0001: 1}, 1)

    Source: the study notes, tables of L1 and L2 beside no regularization.
    """
    report = sparsity_report(params, mask)
    norms = {order: layer_norms(params, order, mask) for order in ("l1", "frobenius", "spectral")}
    leaves = {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}
    for path, entry in report.items():
        if path != "total":
            entry["small"] = {t: int(count_small(leaves[path], t, None)) for t in small}
            entry.update({order: float(found[path]) for order, found in norms.items()})
    parts = [entry for path, entry in report.items() if path != "total"]
    report["total"] |= {
        "small": {t: sum(entry["small"][t] for entry in parts) for t in small},
        "l1": sum(entry["l1"] for entry in parts),
        "frobenius": float(np.sqrt(sum(entry["frobenius"] ** 2 for entry in parts))),
        "spectral": None,
    }
    return report

"""Whether the units of a layer do the same work: how far they are correlated."""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import compute_dtype

__all__ = ["coadaptation"]


def coadaptation(outputs: jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """The mean correlation of two units of a layer, in magnitude.

        1/(n(n − 1))·Σ_{j≠k} |corr(h_j, h_k)|

    Arguments:
        outputs: activations [B, …, units], over examples and places.
        weights: [B], what each example counts; by default all alike.

    Returns:
        A scalar in [0, 1]: 1 if all units say the same, about √(2/(π·B)) for units that are independent.
        Units that do not vary do not count; 0 if fewer than two are left.

    Example:
        >>> print(coadaptation(jnp.array([[1.0, -2.0], [2.0, -4.0], [4.0, -8.0]])).round(4))
        1.0

    Source: Hinton et al. 2012, "Improving neural networks by preventing co-adaptation of feature detectors";
    Cogswell et al. 2016 penalize the covariances.
    """
    x = jnp.asarray(outputs)
    x = x.astype(compute_dtype(x))
    rows = x.reshape(-1, x.shape[-1])
    share = jnp.ones(len(x), x.dtype) if weights is None else jnp.asarray(weights).astype(x.dtype)
    share = jnp.repeat(share, len(rows) // len(x))[:, None]
    share = share / jnp.sum(share)
    rows = rows - jnp.sum(share * rows, axis=0, keepdims=True)
    size = jnp.sqrt(jnp.sum(share * rows * rows, axis=0, keepdims=True))
    varies = size > 8 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x))
    unit = jnp.where(varies, rows / jnp.where(varies, size, jnp.ones_like(size)), jnp.zeros_like(rows))
    correlations = jnp.matmul((share * unit).T, unit, precision="highest")
    count = jnp.sum(varies, dtype=x.dtype)
    off = jnp.sum(jnp.abs(correlations)) - jnp.trace(jnp.abs(correlations))
    return jnp.where(count > 1, off / jnp.maximum(count * (count - 1), 1), jnp.zeros_like(off))

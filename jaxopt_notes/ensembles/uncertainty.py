"""How unsure an ensemble is, split by the reason: noise in the data, or members that disagree.

Aleatoric uncertainty stays however much data there is: each member is unsure by itself. Epistemic uncertainty
is about the model: members are sure of different things. Both add up to the whole. Members may be trained
networks, or the passes of one network with dropout (`monte_carlo`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import compute_dtype
from jaxopt_notes.ensembles.averaging import average
from jaxopt_notes.numerics import log_softmax

__all__ = ["Uncertainty", "gaussian_uncertainty", "uncertainty"]


class Uncertainty(NamedTuple):
    """The total uncertainty of each prediction [B, …], and its two parts.

    Example:
        >>> Uncertainty(jnp.array(3.0), jnp.array(1.0), jnp.array(2.0)).epistemic
        Array(2., dtype=float32, weak_type=True)
    """

    total: jax.Array
    aleatoric: jax.Array
    epistemic: jax.Array


def uncertainty(outputs: ArrayLike, weights: ArrayLike | None = None) -> Uncertainty:
    """The uncertainty of classes, in nats: entropies.

        H[p̄] = mean_m H[p_m] + mutual information          p̄ = mean_m p_m,  H[p] = −Σ_c p_c·log p_c

    Arguments:
        outputs: logits [M, B, …, C].
        weights: [M]; `None` weights all alike.

    Returns:
        `Uncertainty(total, aleatoric, epistemic)`, each [B, …], in at least float32.

    Example:
        >>> logits = jnp.array([[[100.0, 0.0], [0.0, 0.0]], [[0.0, 100.0], [0.0, 0.0]]])
        >>> [print(name, part.round(3)) for name, part in uncertainty(logits)._asdict().items()][0]
        total [0.693 0.693]
        aleatoric [0.    0.693]
        epistemic [0.693 0.   ]

    Source: Depeweg et al. 2018, equation 1; Gal 2016, section 3.3 (there for dropout).
    """
    logs = log_softmax(jnp.asarray(outputs).astype(compute_dtype(outputs)))
    total = _entropy(average(logs, weights, of="probabilities"))
    aleatoric = average(_entropy(logs), weights)
    return Uncertainty(total, aleatoric, jnp.maximum(total - aleatoric, 0))


def _entropy(logs: jax.Array) -> jax.Array:
    p = jnp.exp(logs)
    return -jnp.sum(jnp.where(p > 0, p * jnp.where(p > 0, logs, 0), 0), axis=-1)


def gaussian_uncertainty(
    means: ArrayLike, variances: ArrayLike = 0.0, weights: ArrayLike | None = None
) -> Uncertainty:
    """The uncertainty of numbers: variances.

        Var[y] = mean_m σ²_m + Var_m[μ_m]

    Arguments:
        means: [M, B, …], each member's prediction.
        variances: σ², of the same shape, each member's own estimate of the noise; 0 where it has none.
        weights: [M]; `None` weights all alike.

    Returns:
        `Uncertainty(total, aleatoric, epistemic)`, each [B, …], in at least float32: variances, not
        deviations.

    Example:
        >>> print(gaussian_uncertainty(jnp.array([[1.0], [3.0]]), jnp.array([[0.5], [1.5]])).total)
        [2.]

    Source: Lakshminarayanan, Pritzel & Blundell 2017, section 2.4.
    """
    mu = jnp.asarray(means)
    mu = mu.astype(compute_dtype(mu))
    aleatoric = average(jnp.broadcast_to(jnp.asarray(variances).astype(mu.dtype), mu.shape), weights)
    epistemic = average((mu - average(mu, weights)[None]) ** 2, weights)
    return Uncertainty(aleatoric + epistemic, aleatoric, epistemic)

"""The ambiguity decomposition: an average errs less than its members, by as much as they disagree."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import compute_dtype
from jaxopt_notes.ensembles.averaging import average
from jaxopt_notes.losses.reduction import weighted_mean

__all__ = ["Ambiguity", "ambiguity"]


class Ambiguity(NamedTuple):
    """The squared error of an ensemble, the mean of its members' errors, and what they disagree by.

    Example:
        >>> parts = Ambiguity(jnp.array(1.0), jnp.array(3.0), jnp.array(2.0))
        >>> bool(parts.ensemble == parts.members - parts.ambiguity)
        True
    """

    ensemble: jax.Array
    members: jax.Array
    ambiguity: jax.Array


def ambiguity(
    outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, samples: ArrayLike | None = None
) -> Ambiguity:
    """The ambiguity decomposition of the mean squared error of a weighted average.

        E[(ō − y)²] = Σ_m w_m·E[(o_m − y)²] − Σ_m w_m·E[(o_m − ō)²]

    Arguments:
        outputs: [M, B] or [M, B, K], predictions (or probabilities, against one-hot targets).
        targets: [B] or [B, K].
        weights: [M], of the members; `None` weights all alike.
        samples: [B], of the examples; `None` weights all alike.

    Returns:
        `Ambiguity(ensemble, members, ambiguity)`, scalars: the first is the second minus the third, exactly
        but for rounding, so that an average is never worse than its members are on average.

    Example:
        >>> print(*ambiguity(jnp.array([[1.0], [3.0]]), jnp.array([1.0])))
        1.0 2.0 1.0

    Source: Krogh & Vedelsby 1995, equation 7.
    """
    o, y = jnp.asarray(outputs), jnp.asarray(targets)
    kind = compute_dtype(o, y)
    o, y = o.astype(kind), y.astype(kind)
    mean = average(o, weights)
    each = jax.vmap(lambda values: weighted_mean(values, samples))
    return Ambiguity(
        weighted_mean((mean - y) ** 2, samples),
        average(each((o - y[None]) ** 2), weights),
        average(each((o - mean[None]) ** 2), weights),
    )

"""A Gaussian process of the scores of a search: how they are scaled, and how it is fitted to them."""

import math

import jax
import jax.numpy as jnp

from jaxopt_notes.search.surrogates.gaussian_process import (
    GaussianProcess,
    fit,
    log_marginal_likelihood,
)

FITTED = 128  # scores that hyperparameters are fitted to, at most


def fit_scores(
    starts: tuple[GaussianProcess, ...],
    x: jax.Array,
    y: jax.Array,
    told: jax.Array,
    groups: tuple[int, ...],
) -> GaussianProcess:
    """The likeliest of the processes fitted from several starts to the first `told` scores.

    Arguments:
        starts: the process fitted last, and one that does not remember.
        x, y: features [n, D] and standardized scores [n], of which the first `told` are known. At most
            `FITTED` of them, evenly over the search, are looked at: that settles a few length scales.
        groups: for each feature the number of its hyperparameter, which has one length scale.
    """
    rows = min(len(y), FITTED)
    row = jnp.arange(rows)
    some = jnp.where(told > rows, (row * told) // rows, row)
    x, y, seen = x[some], y[some], some < told
    d = max(len(set(groups)), 1)
    # Hvarfner et al. 2024: distances grow with √d, and so do the length scales
    prior = (math.sqrt(2) + math.log(d) / 2, math.sqrt(3))
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
    found = jax.vmap(lambda gp: fit(gp, x, y, seen, groups=groups, prior=prior))(both)
    likely = jax.vmap(lambda gp: log_marginal_likelihood(gp, x, y, seen))(found)
    chosen = jnp.argmax(jnp.where(jnp.isnan(likely), -jnp.inf, likely))
    return jax.tree.map(lambda leaf: leaf[chosen], found)


def standardize(scores: jax.Array, seen: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The seen scores with mean 0 and variance 1, and the standard deviation that they had; 0 elsewhere.

    Bad scores are all alike to a search for the best. Those that diverged count as the worst that did not,
    and what is farther above the median than five times the best is below it is moved there: otherwise
    one huge loss would flatten all the others.

    Example:
        >>> scores = jnp.array([1.0, 3.0, jnp.inf, 1e9, 2.0])
        >>> standardize(scores, jnp.ones(5, bool))[0].round(1)
        Array([-1.1, -0.6,  1.2,  1.2, -0.8], dtype=float32)
    """
    finite = seen & jnp.isfinite(scores)
    known = jnp.where(finite, scores, jnp.nan)
    any_known = jnp.any(finite)
    known = jnp.where(any_known, known, 0)  # nothing is known: all are equal
    lowest, middle, highest = jnp.nanmin(known), jnp.nanmedian(known), jnp.nanmax(known)
    limit = jnp.where(middle > lowest, jnp.minimum(highest, middle + 5 * (middle - lowest)), highest)
    clipped = jnp.where(finite, jnp.minimum(scores, limit), limit)
    count = jnp.maximum(jnp.sum(seen, dtype=scores.dtype), 1)
    mean = jnp.sum(jnp.where(seen, clipped, 0)) / count
    std = jnp.sqrt(jnp.sum(jnp.where(seen, clipped - mean, 0) ** 2) / count)
    std = jnp.where(std > 0, std, 1)
    return jnp.where(seen, (clipped - mean) / std, 0), std

"""The next batch of a Bayesian search, in one compiled program.

The hyperparameters of the process are fitted, the scores so far and the points that wait for theirs
are believed, and the points of the batch are chosen one after the other by what the acquisition promises.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.search.strategies.proposals import climb, is_new, scatter
from jaxopt_notes.search.strategies.trials import has_score
from jaxopt_notes.search.surrogates.acquisition import ACQUISITIONS, log_expected_improvement
from jaxopt_notes.search.surrogates.encoding import (
    canonical,
    feature_groups,
    features,
    is_continuous,
)
from jaxopt_notes.search.surrogates.fitting import fit_scores, standardize
from jaxopt_notes.search.surrogates.gaussian_process import (
    Posterior,
    believe,
    condition,
    predict,
)

CANDIDATES, STARTS = 512, 4  # where not all can be weighed: how many are, and from how many the climb starts


@functools.partial(jax.jit, static_argnames=("size", "rows"))
def propose(strategy: Any, state: Any, key: jax.Array, n: jax.Array, size: int, rows: int) -> tuple:
    """The next points, the fitted process and what the first n promise, by the first rows of the state."""
    axes, low, high = state.dimensions, state.points.dtype, jnp.result_type(float)
    asked, told = jnp.asarray(state.asked, int), jnp.asarray(state.told, int)
    row = jnp.arange(rows)
    seen = row < told
    taken = state.points[:rows].astype(high)
    x = features(axes, taken)
    scores = state.scores[:rows]
    y, scale = standardize(jnp.where(has_score(scores), scores, jnp.inf).astype(high), seen)

    starts = jax.tree.map(lambda leaf: jnp.asarray(leaf, high), (state.process, strategy.prior(axes)))
    modelled = (asked + n > len(state.design)) & (told > 0)
    process = lax.cond(
        modelled, lambda: fit_scores(starts, x, y, told, feature_groups(axes)), lambda: starts[0]
    )
    posterior = condition(process, x, y, seen)
    means = jnp.where(seen, predict(posterior, x)[0], jnp.inf)
    best = jnp.where(told > 0, jnp.min(means), 0)
    center = taken[jnp.argmin(means)]
    posterior, best = lax.fori_loop(
        told, asked, lambda i, known: _doubt(known[0], known[1], i, x[i]), (posterior, best)
    )

    weigh = ACQUISITIONS[strategy.acquisition]
    exploration = () if strategy.exploration is None else (strategy.exploration,)

    def choose(carry: tuple, i: jax.Array) -> tuple[tuple, tuple]:
        posterior, best, taken = carry
        now = asked + i
        if state.candidates is None:
            points = scatter(jax.random.fold_in(key, i), CANDIDATES, axes, center)
        else:
            points = state.candidates.astype(high)
        points = canonical(axes, points)

        def promise(points: jax.Array) -> jax.Array:
            return weigh(*predict(posterior, features(axes, points)), best, *exploration)

        def rank(points: jax.Array, values: jax.Array) -> jax.Array:
            """A finite number for every new point, −∞ for those that were asked for before."""
            values = jnp.where(jnp.isnan(values), -jnp.inf, values)
            new = is_new(points, taken, row < now)
            return jnp.where(new, jnp.maximum(values, jnp.finfo(high).min), -jnp.inf)

        value = rank(points, promise(points))
        if any(map(is_continuous, axes.values())):
            top = lax.top_k(value, STARTS)[1]
            climbed = canonical(axes, climb(lambda u: promise(canonical(axes, u)), points[top]))
            points = jnp.concatenate([points, climbed])
            value = jnp.concatenate([value, rank(climbed, promise(climbed))])
        designed = state.design[jnp.minimum(now, len(state.design) - 1)].astype(high)
        point = jnp.where(now < len(state.design), designed, points[jnp.argmax(value)])
        mean, std = predict(posterior, features(axes, point[None]))
        gain = scale * jnp.exp(log_expected_improvement(mean, std, best))[0]
        posterior, best = _doubt(posterior, best, now, features(axes, point[None])[0])
        return (posterior, best, taken.at[now].set(point)), (point, gain)

    _, (points, gains) = lax.scan(choose, (posterior, best, taken), jnp.arange(size))
    process = jax.tree.map(lambda leaf: leaf.astype(low), process)
    gain = jnp.max(jnp.where(jnp.arange(size) < n, gains, 0))
    improvement = jnp.where(asked + n > len(state.design), gain, float(jnp.finfo(low).max))
    return points.astype(low), process, improvement.astype(low)


def _doubt(posterior: Posterior, best: jax.Array, row: jax.Array, point: jax.Array) -> tuple:
    """What is known, and the best of it, if the point scores one standard deviation worse than expected."""
    mean, std = predict(posterior, point[None])
    value = mean[0] + std[0]
    return believe(posterior, row, point, value), jnp.minimum(best, value)

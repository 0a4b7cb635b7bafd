"""The next batch of a Bayesian search.

The hyperparameters of the process are fitted, the scores so far and the points that wait for theirs
are believed, and the points of the batch are chosen one after the other by what the acquisition promises.
"""

import functools
from typing import NamedTuple

import numpy as np

from jaxopt_notes.search.strategies.proposals import climb, is_new, scatter
from jaxopt_notes.search.surrogates.acquisition import ACQUISITIONS, log_expected_improvement
from jaxopt_notes.search.surrogates.encoding import (
    Axes,
    canonical,
    feature_groups,
    features,
    features_slope,
    is_continuous,
)
from jaxopt_notes.search.surrogates.fitting import fit_scores, standardize
from jaxopt_notes.search.surrogates.gaussian_process import (
    GaussianProcess,
    Posterior,
    believe,
    condition,
    follow,
    forecast,
    predict,
    predict_slopes,
)

CANDIDATES, STARTS = 512, 4  # where not all can be weighed: how many are, and from how many the climb starts
# Noise is loud where it is that share of all variance. Of 60 searches of Hartmann-6 with a noise of 0.25 two
# end above 1, where six do without keeping apart; all the same for every noise, Levy-8 suffers from it.
LOUD = 0.2


class Known(NamedTuple):
    """What a search knows when it is asked: points of the unit cube, the scores of the first of them, …

    Arguments:
        points: all that were asked for [asked, d].
        scores: of the first of them [told]; not finite where diverged.
        candidates: all there are, in a small space, else `None`.
        starts: processes from which the fit starts.
    """

    axes: Axes
    points: np.ndarray
    scores: np.ndarray
    candidates: np.ndarray | None
    starts: tuple[GaussianProcess, ...]


class Batch(NamedTuple):
    """The next points, the process fitted, and the greatest expected improvement among them."""

    points: np.ndarray
    process: GaussianProcess
    improvement: float


def propose(known: Known, n: int, rng: np.random.Generator, acquisition: str, exploration: tuple) -> Batch:
    """The next n points; `exploration` has the number of the acquisition, or nothing."""
    axes, taken = known.axes, known.points
    told = len(known.scores)
    x = features(axes, taken)
    y, scale = standardize(known.scores)
    process = fit_scores(known.starts, x[:told], y, feature_groups(axes))
    posterior = condition(process, x[:told], y)
    means = predict(posterior, x[:told])[0]
    best, center = float(means.min()), taken[means.argmin()]
    loud = _loudness(process)
    for point in x[told:]:
        posterior, best = _doubt(posterior, best, point, loud)
    free = np.array([is_continuous(axis) for axis in axes.values()], bool)
    weigh = functools.partial(ACQUISITIONS[acquisition], noise=float(process.noise), power=1 + loud)

    def promise(points: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """A finite number for every new point, −∞ for those that were asked for before."""
        value = weigh(mean, std, best, *exploration).value
        value = np.maximum(np.where(np.isnan(value), -np.inf, value), np.finfo(float).min)
        return np.where(is_new(points, taken), value, -np.inf)

    def promise_and_slope(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, std, mean_slope, std_slope = predict_slopes(posterior, features(axes, points))
        value, by_mean, by_std = weigh(mean, std, best, *exploration)
        slope = by_mean[:, None] * mean_slope + by_std[:, None] * std_slope
        return value, features_slope(axes, points, slope)

    points, chosen, gains = known.candidates, [], []
    if points is None:
        points = canonical(axes, scatter(rng, CANDIDATES, axes, center))
    seen = forecast(posterior, features(axes, points))
    for blind in rng.random(n) < _excess(process):
        value = promise(points, seen.mean, np.sqrt(np.maximum(seen.variance, 0)))
        point, top = points[np.argmax(value)], np.max(value)
        if blind:
            new = np.flatnonzero(np.isfinite(value))
            if known.candidates is None:
                new = new[new % 2 == 0]  # the others are near the best
            point = points[rng.choice(new)] if len(new) else point
        elif free.any() and known.candidates is None:
            starts = points[np.argsort(-value, kind="stable")[:STARTS]]
            climbed = canonical(axes, climb(promise_and_slope, starts, free))
            higher = promise(climbed, *predict(posterior, features(axes, climbed)))
            if np.max(higher) > top:
                point = climbed[np.argmax(higher)]
        own = features(axes, point[None])
        gains.append(log_expected_improvement(*predict(posterior, own), best).value[0])
        posterior, best = _doubt(posterior, best, own[0], loud)
        seen, taken = follow(posterior, seen), np.vstack([taken, point])
        chosen.append(point)
    return Batch(np.array(chosen), process, scale * float(np.exp(max(gains))))


def _excess(process: GaussianProcess) -> float:
    """How far noise outweighs what the process explains, in [0, 1): as often a point is left to chance.

    Where all scores so far are of one plain, "all is noise" is the likeliest explanation, and what
    promises most by it is more of the same plain.
    """
    noise, amplitude = float(process.noise), float(process.amplitude)
    return max(noise - amplitude, 0.0) / (noise + amplitude)


def _loudness(process: GaussianProcess) -> float:
    """From 0 without noise to 1 where it is loud: so much farther from one another are points asked for.

    Where all are close to the best so far, noise hides the slope among them, and a search stays on the
    hillside where it is.
    """
    noise, amplitude = float(process.noise), float(process.amplitude)
    return min(noise / (noise + amplitude) / LOUD, 1.0)


def _doubt(
    posterior: Posterior, best: float, point: np.ndarray, loud: float = 0.0
) -> tuple[Posterior, float]:
    """What is known, and the best of it, if the point scores one standard deviation worse than expected.

    That of f alone; where noise is loud, of an observation.
    """
    mean, std = predict(posterior, point[None])
    value = float(mean[0] + np.hypot(std[0], np.sqrt(loud * float(posterior.gp.noise))))
    return believe(posterior, point, value), min(best, value)

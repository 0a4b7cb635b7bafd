"""The next batch of a Bayesian search.

The hyperparameters of the process are fitted, the scores so far and the points that wait for theirs
are believed, and the points of the batch are chosen one after the other by what the acquisition promises.
"""

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
    predict,
    predict_slopes,
)

CANDIDATES, STARTS = 512, 4  # where not all can be weighed: how many are, and from how many the climb starts


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
    for point in x[told:]:
        posterior, best = _doubt(posterior, best, point)
    free = np.array([is_continuous(axis) for axis in axes.values()], bool)
    weigh = ACQUISITIONS[acquisition]

    def promise(points: np.ndarray) -> np.ndarray:
        """A finite number for every new point, −∞ for those that were asked for before."""
        value = weigh(*predict(posterior, features(axes, points)), best, *exploration).value
        value = np.maximum(np.where(np.isnan(value), -np.inf, value), np.finfo(float).min)
        return np.where(is_new(points, taken), value, -np.inf)

    def promise_and_slope(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, std, mean_slope, std_slope = predict_slopes(posterior, features(axes, points))
        value, by_mean, by_std = weigh(mean, std, best, *exploration)
        slope = by_mean[:, None] * mean_slope + by_std[:, None] * std_slope
        return value, features_slope(axes, points, slope)

    chosen, gains = [], []
    for _ in range(n):
        if known.candidates is None:
            points = canonical(axes, scatter(rng, CANDIDATES, axes, center))
        else:
            points = known.candidates
        value = promise(points)
        if free.any() and known.candidates is None:
            top = points[np.argsort(-value, kind="stable")[:STARTS]]
            climbed = canonical(axes, climb(promise_and_slope, top, free))
            points, value = np.concatenate([points, climbed]), np.append(value, promise(climbed))
        point = points[np.argmax(value)]
        own = features(axes, point[None])
        gains.append(log_expected_improvement(*predict(posterior, own), best).value[0])
        posterior, best = _doubt(posterior, best, own[0])
        taken = np.vstack([taken, point])
        chosen.append(point)
    return Batch(np.array(chosen), process, scale * float(np.exp(max(gains))))


def _doubt(posterior: Posterior, best: float, point: np.ndarray) -> tuple[Posterior, float]:
    """What is known, and the best of it, if the point scores one standard deviation worse than expected."""
    mean, std = predict(posterior, point[None])
    value = float(mean[0] + std[0])
    return believe(posterior, point, value), min(best, value)

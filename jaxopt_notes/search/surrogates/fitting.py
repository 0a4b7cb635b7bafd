"""A Gaussian process of the scores of a search: how they are scaled, and how it is fitted to them."""

import math

import numpy as np

from jaxopt_notes.search.surrogates.gaussian_process import GaussianProcess, LogNormal, Prior, fit

# Length scales of a whole range: with shorter ones (½) valleys of eight dimensions stay unfound, and with a
# prior that grows with √d (Hvarfner et al. 2024) a search of some dozen trainings finds that nothing matters.
# Amplitude and noise have priors so that neither takes all of the variance: of few scores "all is noise" is
# often the likeliest explanation.
PRIOR = Prior(
    lengthscale=LogNormal(0.0, 0.75),
    amplitude=LogNormal(0.0, 1.0),
    noise=LogNormal(math.log(1e-2), 1.5),
)
FITTED = 128  # scores that hyperparameters are fitted to, at most


def fit_scores(
    starts: tuple[GaussianProcess, ...], x: np.ndarray, y: np.ndarray, groups: tuple[int, ...]
) -> GaussianProcess:
    """The likeliest of the processes fitted from several starts.

    Arguments:
        starts: the process fitted last, and one that does not remember.
        x, y: features [n, D] and standardized scores [n]. At most `FITTED` of them, evenly over the
            search, are looked at: that settles a few length scales.
        groups: for each feature the number of its hyperparameter, which has one length scale.
    """
    if len(y) > FITTED:
        some = np.arange(FITTED) * len(y) // FITTED
        x, y = x[some], y[some]
    found = [fit(gp, x, y, groups=groups, prior=PRIOR) for gp in starts]
    return max(found, key=lambda pair: pair[1])[0]


def standardize(scores: np.ndarray) -> tuple[np.ndarray, float]:
    """The scores with mean 0 and variance 1, and the standard deviation that they had.

    Bad scores are all alike to a search for the best. Those that diverged count as the worst that did not,
    and what is farther above the median than five times the best is below it is moved there: otherwise
    one huge loss would flatten all the others.

    Example:
        >>> standardize(np.array([1.0, 3.0, np.inf, 1e9, 2.0]))[0].round(1).tolist()
        [-1.1, -0.6, 1.2, 1.2, -0.8]
    """
    known = scores[np.isfinite(scores)]
    if not len(known):
        return np.zeros(len(scores)), 1.0
    lowest, middle, highest = known.min(), np.median(known), known.max()
    limit = min(highest, middle + 5 * (middle - lowest)) if middle > lowest else highest
    clipped = np.where(np.isfinite(scores), np.minimum(scores, limit), limit)
    std = float(clipped.std()) or 1.0
    return (clipped - clipped.mean()) / std, std

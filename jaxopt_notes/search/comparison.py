"""What the seeds of a search can tell apart, and what only looks different."""

from typing import Any

import numpy as np


def within_error(results: Any, level: float = 0.95) -> list[int]:
    """The trials that the seeds do not tell from the best one, which is not among them.

        d_s = score[i, s] − score[best, s];   |mean d| ≤ t·std(d)/√seeds

    Seeds are shared by all configurations, so they are compared in pairs; trials with diverged seeds are left
    out, and with one seed nothing is known of the error.

    Arguments:
        results: a `Results`.
        level: of confidence, two-sided, in (0, 1): t is Student's quantile with seeds − 1 degrees of freedom.

    Returns:
        Trials, from the best to the worst.

    Example:
        >>> from jaxopt_notes.search import Results
        >>> scores = np.array([[0.9, 0.8, 0.85], [0.91, 0.78, 0.85], [0.5, 0.4, 0.45]])
        >>> within_error(Results({"x": np.arange(3)}, scores, "accuracy", "max"))
        [1]

    Source: Student 1908; Bouthillier et al. 2021 (paired seeds).

    Elsewhere: optuna, Ray Tune and W&B rank by the mean alone; scikit-learn shows std_test_score.
    """
    from scipy.stats import t  # jax needs scipy, too; it is dear to import

    seeds = results.scores.shape[1]
    compared = [i for i in results.ranked() if results.finite[i].all()]
    if seeds < 2 or len(compared) < 2:
        return []
    best, *others = compared
    d = results.scores[others] - results.scores[best]
    bound = t.ppf((1 + level) / 2, seeds - 1) * d.std(axis=1, ddof=1) / np.sqrt(seeds)
    return [i for i, mean, most in zip(others, d.mean(axis=1), bound, strict=True) if abs(mean) <= most]

"""What the seeds of a search can tell apart, and what only looks different."""

from typing import Any

import numpy as np

from jaxopt_notes.record import check_choice, check_number


def within_error(results: Any, level: float = 0.95) -> list[int]:
    """The trials that the seeds do not tell from the best one, which is not among them.

        d_s = score[i, s] − score[best, s];   |mean d| ≤ t·std(d)/√seeds

    Seeds are shared by all configurations, so they are compared in pairs; trials with diverged seeds, and
    infeasible ones, are left out, and with one seed nothing is known of the error. With several monitors
    there is no one best trial, and nothing is within its error.

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
    check_number("within_error(level)", level, "(0, 1)")
    from scipy.stats import t  # jax needs scipy, too; it is dear to import

    seeds = results.scores.shape[1]
    compared = [i for i in results.ranked() if results.finite[i].all() and results.feasible[i]]
    if seeds < 2 or len(compared) < 2 or results.others:
        return []
    best, *others = compared
    d = results.scores[others] - results.scores[best]
    bound = t.ppf((1 + level) / 2, seeds - 1) * d.std(axis=1, ddof=1) / np.sqrt(seeds)
    return [i for i, mean, most in zip(others, d.mean(axis=1), bound, strict=True) if abs(mean) <= most]


def one_standard_error(results: Any, name: str, simpler: str = "larger") -> int:
    """The simplest trial whose mean score is within one standard error of the best: the 1-SE rule.

        among {i : |score_mean[i] − score_mean[best]| ≤ score_error[best]}: the largest (or smallest) `name`

    Arguments:
        results: a `Results` with several folds or seeds.
        name: the hyperparameter by which one is simpler than another: a penalty's strength, a width.
        simpler: "larger" or "smaller" values of it are.

    Returns:
        The trial; of equally simple ones the best.

    Raises:
        ValueError: an unknown name, or no error is known: one fold and one seed.

    Example:
        >>> from jaxopt_notes.search import Results
        >>> scores = np.array([[0.30, 0.34, 0.32], [0.31, 0.34, 0.33], [0.5, 0.6, 0.4]])
        >>> one_standard_error(Results({"decay": np.array([0.1, 1.0, 10.0])}, scores), "decay")
        1

    Source: Breiman, Friedman, Olshen & Stone 1984, section 3.4.3; Hastie, Tibshirani & Friedman 2009,
    section 7.10.

    Elsewhere: glmnet's `lambda.1se`; scikit-learn leaves it to a function of one's own (`refit=`).
    """
    check_choice("one_standard_error(name)", name, tuple(results.columns))
    check_choice("one_standard_error(simpler)", simpler, ("larger", "smaller"))
    best = results.ranked()[0]
    error = results.score_error[best]
    if not np.isfinite(error):
        raise ValueError(
            "one_standard_error needs several folds or seeds, and here the best trial has one score or has "
            "diverged in one: sweep(…, folds=5)."
        )
    near = [
        i for i in results.ranked()
        if results.finite[i].all() and abs(results.score_mean[i] - results.score_mean[best]) <= error
    ]  # fmt: skip
    sign = -1 if simpler == "larger" else 1
    return min(near, key=lambda i: sign * results.columns[name][i])  # the first of equals: they are ranked

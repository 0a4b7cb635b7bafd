"""Which strategy to take, when one has no opinion: decided by the space and by the budget, with a reason.

Where there are fewer configurations than trainings, all are tried. A model of the scores wins where there are
some hyperparameters and enough trainings to learn from; before that even coverage is best, and beyond some
hundreds of trainings or twenty hyperparameters a population that moves costs less.
"""

from typing import Any, NamedTuple

from jaxopt_notes.record import check_count
from jaxopt_notes.search.spaces.space import Space, dimensions
from jaxopt_notes.search.strategies.bayesian import bayesian
from jaxopt_notes.search.strategies.cma_es import cma_es
from jaxopt_notes.search.strategies.random_search import random_search
from jaxopt_notes.search.strategies.sobol import sobol
from jaxopt_notes.search.surrogates.encoding import enumerate_points

__all__ = ["SearchPlan", "default_search"]

MOST_FOR_A_MODEL, MOST_DIMENSIONS = 512, 20  # of trainings, and of hyperparameters
BATCHES = 6  # rounds of learning, at least
POPULATION = 8  # runs that fill two cores, at least


class SearchPlan(NamedTuple):
    """What to give to `sweep`: a strategy, seeds for each of its configurations, and why these."""

    strategy: Any
    seeds: int
    why: str


def default_search(space: Space, trainings: int, *, seeds: int = 1) -> SearchPlan:
    """A strategy for a space and a budget, and the reason for it.

        every configuration        if there are at most trainings/seeds of them
        Sobol points               if trainings/seeds < 2·(d + 1), d hyperparameters: too few to learn from
        CMA-ES                     if d > 20 or trainings/seeds > 512: a model of the scores would be slow
        Bayesian search            else, in batches of at most 8 and at least six rounds

    Arguments:
        space: as for `sweep`.
        trainings: runs in all, configurations × seeds.
        seeds: of every configuration. One is best for the search itself: noise costs less than looking at
            fewer configurations. Compare the best few with more seeds afterwards.

    Returns:
        `(strategy, seeds, why)`.

    Raises:
        ValueError: fewer trainings than seeds, or none. TypeError: an argument is not a whole number.

    Example:
        >>> from jaxopt_notes.search import choice, log_uniform
        >>> plan = default_search({"rate": log_uniform(1e-4, 1e-1)}, 48)
        >>> print(plan.why)
        48 configurations of 1 hyperparameter: Bayesian search in batches of 8
        >>> default_search({"rate": choice([0.1, 0.2])}, 48).why
        '48 configurations would do, the space has 2: all of them, once'

    Source: judgement, of the kind that `python -m benchmarks.searches` can check; the limits themselves (20
    hyperparameters, 512 configurations, six rounds) have not been measured.

    Elsewhere: optuna takes TPE whatever the space, and OptunaHub's AutoSampler chooses by space and trial
    number; Keras Tuner and scikit-learn leave the choice to their users.
    """
    check_count("default_search(seeds)", seeds, 1)
    check_count("default_search(trainings)", trainings, seeds, "at least one configuration")
    axes, n = dimensions(space), trainings // seeds
    if not axes:
        return SearchPlan(random_search(1), seeds, "nothing to search over: one configuration")
    d, every = len(axes), enumerate_points(axes, n)
    some = f"{n} configuration{'s' * (n != 1)} of {d} hyperparameter{'s' * (d != 1)}"
    if every is not None:
        strategy: Any = bayesian(len(every), len(every), initial=len(every))
        why = f"{n} configurations would do, the space has {len(every)}: all of them, once"
    elif n < 2 * (d + 1):
        strategy = sobol(n)
        why = f"{some}: too few to learn from, so they are spread evenly (sobol)"
    elif d > MOST_DIMENSIONS or n > MOST_FOR_A_MODEL:
        strategy = cma_es(n)
        why = f"{some}: a model of the scores would be slow, so a population moves (cma_es)"
    else:
        batch = max(min(POPULATION, n // BATCHES), 1)
        strategy = bayesian(n, batch)
        why = f"{some}: Bayesian search in batches of {batch}"
    return SearchPlan(strategy, seeds, why)

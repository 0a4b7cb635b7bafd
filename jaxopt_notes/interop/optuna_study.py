"""A study of Optuna as the results of a search: tables, pictures, a report of what several machines did."""

from typing import Any

import numpy as np

from jaxopt_notes.interop.optuna import labels
from jaxopt_notes.interop.optuna_workers import TAKEN_UP
from jaxopt_notes.search.results import Results
from jaxopt_notes.search.spaces.choices import Choice, StaticChoice
from jaxopt_notes.search.spaces.distributions import Integers, LogUniform, Uniform
from jaxopt_notes.search.spaces.space import dimensions


def from_optuna(study: Any, space: Any = None) -> Results:
    """An Optuna study as results: of all processes that worked on it, or of any study with one objective.

    Arguments:
        study: an `optuna.Study`, as `optuna_search(…).study()`.
        space: the search space, for axes of plots and warnings; with it, quantiles of a `normal` dimension
            and names of functions come back as values.

    Returns:
        A `Results` with a row for each trial that was trained, in the order of trials: its value as the score
        of one run, NaN for a failed one. Trials that are running, waiting, pruned or were taken up as
        others are left out; so are hyperparameters that not all trials have.

    Raises:
        ValueError: a study of several objectives, or without a finished trial.

    Example:
        >>> import optuna  # doctest: +SKIP
        >>> study = optuna.load_study(study_name="jaxopt_notes", storage=storage)  # doctest: +SKIP
        >>> print(from_optuna(study).table())  # doctest: +SKIP
    """
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    if len(study.directions) != 1:
        raise ValueError(f"from_optuna(study) has {len(study.directions)} objectives, expected one.")
    finished = (TrialState.COMPLETE, TrialState.FAIL)
    trials = [t for t in study.get_trials(deepcopy=False, states=finished) if TAKEN_UP not in t.user_attrs]
    if not trials:
        raise ValueError("from_optuna(study) has no finished trial.")
    axes = {} if space is None else dimensions(space)
    names = sorted(set.intersection(*(set(trial.params) for trial in trials)))
    columns = {name: _column(axes.get(name), [trial.params[name] for trial in trials]) for name in names}
    scores = np.array([np.nan if trial.value is None else trial.value for trial in trials], float)
    mode = "max" if study.direction == StudyDirection.MAXIMIZE else "min"
    return Results(columns, scores[:, None], "score", mode, space=space)


def _column(axis: Any, found: list) -> np.ndarray:
    """The values of a hyperparameter as a column of a `Results`."""
    if isinstance(axis, StaticChoice):
        named = dict(zip(labels(axis), axis.values, strict=True))
        column = np.empty(len(found), object)
        column[:] = [named.get(value, value) for value in found]
        return column
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in found)
    if numbers and axis is not None and not isinstance(axis, Uniform | LogUniform | Integers | Choice):
        return np.asarray(axis.from_unit(np.asarray(found, np.float32)))
    return np.asarray(found) if numbers else np.array(found, object)

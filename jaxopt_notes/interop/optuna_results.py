"""The results of a search as a study of Optuna: its plots, its importances and optuna-dashboard open it."""

from typing import Any

import numpy as np

from jaxopt_notes.interop.optuna import labels
from jaxopt_notes.interop.optuna_workers import TAKEN_UP
from jaxopt_notes.search.names import hyperparameters, reserved_columns
from jaxopt_notes.search.spaces.choices import Choice, StaticChoice
from jaxopt_notes.search.spaces.distributions import Integers, LogUniform, Uniform
from jaxopt_notes.search.spaces.space import dimensions


def to_optuna(results: Any, storage: Any = None, study_name: str | None = None) -> Any:
    """Results as an Optuna study.

    Arguments:
        results: a `Results`.
        storage: as of `optuna.create_study`: "sqlite:///sweep.db" for a file that `optuna-dashboard` opens;
            `None` for memory.
        study_name: by default Optuna makes one up.

    Returns:
        An `optuna.Study` with a trial for each configuration, in the order of trials. Its value is the mean
        score; a configuration with a diverged seed is a failed trial. The mean history of the monitor is
        its intermediate values; seeds' scores, `epochs`, `parent`, and the last mean entry of every other
        curve ("last/valid_accuracy") are user attributes.

    Raises:
        ModuleNotFoundError: optuna is missing. optuna's DuplicatedStudyError: the storage has the study.

    Example:
        >>> from jaxopt_notes.search import Results
        >>> results = Results({"rate": np.array([0.1, 0.2])}, np.array([[2.0], [1.0]]))
        >>> to_optuna(results).best_params  # doctest: +SKIP
        {'rate': 0.2}
    """
    try:
        import optuna
    except ImportError as error:
        raise ModuleNotFoundError("to_optuna() needs optuna: pip install optuna.") from error
    study = optuna.create_study(
        storage=storage, study_name=study_name, direction="maximize" if results.mode == "max" else "minimize"
    )
    axes = {} if results.space is None else dimensions(results.space)
    columns, reserved = hyperparameters(results), reserved_columns(results)
    distributions = {name: _distribution(axes.get(name), column) for name, column in columns.items()}
    curve = results.history.get(results.monitor)
    states = optuna.trial.TrialState
    trials = []
    for i, scores in enumerate(results.scores):
        complete = bool(np.isfinite(scores).all())
        means = [] if curve is None else curve[i].mean(axis=0)
        attributes: dict[str, Any] = {name: int(column[i]) for name, column in reserved.items()}
        attributes |= _last_entries(results.history, i, results.monitor)
        trials.append(optuna.trial.create_trial(
            state=states.COMPLETE if complete else states.FAIL,
            value=float(scores.mean()) if complete else None,
            params={name: _value(distributions[name], column[i]) for name, column in columns.items()},
            distributions=distributions,
            intermediate_values={e + 1: float(mean) for e, mean in enumerate(means) if np.isfinite(mean)},
            user_attrs={**attributes, "scores": [float(score) for score in scores]},
        ))  # fmt: skip
    study.add_trials(trials)
    return study


def from_optuna(study: Any, space: Any = None) -> Any:
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

    from jaxopt_notes.search.results import Results

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


def _last_entries(history: Any, i: int, monitor: str) -> dict[str, float]:
    """The mean over seeds of a trial's curves at the end of its runs; what is not finite is left out."""
    found = {}
    for name, curve in history.items():
        if name == monitor or curve.ndim != 3:
            continue
        known = np.flatnonzero(np.isfinite(curve[i]).all(axis=0))
        if len(known):
            found[f"last/{name}"] = float(curve[i][:, known[-1]].mean())
    return found


def _distribution(axis: Any, column: np.ndarray) -> Any:
    """Optuna's distribution for one of ours; for those that it has not, the range of what was drawn."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(axis, Uniform | LogUniform):
        return FloatDistribution(float(axis.low), float(axis.high), log=isinstance(axis, LogUniform))
    if isinstance(axis, Integers):
        return IntDistribution(int(axis.low), int(axis.high) - 1)
    if isinstance(axis, Choice | StaticChoice):
        return CategoricalDistribution(list(dict.fromkeys(map(_plain, axis.values))))
    if column.dtype.kind in "iuf" and np.isfinite(column).all():
        return FloatDistribution(float(column.min()), float(column.max()))
    return CategoricalDistribution(list(dict.fromkeys(map(_plain, column))))


def _value(distribution: Any, value: Any) -> Any:
    """A value inside its distribution, whose ends float32 may have missed by a rounding."""
    if hasattr(distribution, "choices"):
        return _plain(value)
    inside = min(max(float(value), distribution.low), distribution.high)
    return int(inside) if type(distribution).__name__ == "IntDistribution" else float(inside)


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    known = isinstance(value, bool | int | float | str | None)
    return value if known else getattr(value, "__name__", str(value))

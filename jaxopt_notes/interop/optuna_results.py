"""The results of a search as a study of Optuna: its plots, its importances and optuna-dashboard open it."""

from typing import Any

import numpy as np

from jaxopt_notes.search.export import as_written
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
        An `optuna.Study` with a trial for each configuration, in the order of trials. Its values are the mean
        scores of all monitors; a configuration with a diverged seed is a failed trial. The mean history of a
        single monitor is its intermediate values; seeds' scores, `epochs`, `parent`, and the last mean entry
        of every other curve ("last/valid_accuracy") are user attributes.

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
    better = optuna.study.StudyDirection
    directions = [better.MAXIMIZE if mode == "max" else better.MINIMIZE for mode in results.monitors.values()]
    study = optuna.create_study(storage=storage, study_name=study_name, directions=directions)
    axes = {} if results.space is None else dimensions(results.space)
    columns, reserved = hyperparameters(results), reserved_columns(results)
    distributions = {name: _distribution(axes.get(name), column) for name, column in columns.items()}
    curve = None if results.others else results.history.get(results.monitor)  # Optuna has one or none
    values = [results.means[name] for name in results.monitors]
    states = optuna.trial.TrialState
    trials = []
    for i, scores in enumerate(results.scores):
        complete = bool(np.isfinite(scores).all())
        means = [] if curve is None else curve[i].mean(axis=0)
        attributes: dict[str, Any] = {name: int(column[i]) for name, column in reserved.items()}
        attributes |= _last_entries(results.history, i, results.monitor)
        trials.append(optuna.trial.create_trial(
            state=states.COMPLETE if complete else states.FAIL,
            values=[float(mean[i]) for mean in values] if complete else None,
            params={name: _value(distributions[name], column[i]) for name, column in columns.items()},
            distributions=distributions,
            intermediate_values={e + 1: float(mean) for e, mean in enumerate(means) if np.isfinite(mean)},
            user_attrs={**attributes, "scores": [float(score) for score in scores]},
        ))  # fmt: skip
    study.add_trials(trials)
    return study


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
    inside = min(max(float(as_written(value)), distribution.low), distribution.high)
    return int(inside) if type(distribution).__name__ == "IntDistribution" else float(inside)


def _plain(value: Any) -> Any:
    value = as_written(np.asarray(value)[()]) if hasattr(value, "item") else value
    known = isinstance(value, bool | int | float | str | None)
    return value if known else getattr(value, "__name__", str(value))

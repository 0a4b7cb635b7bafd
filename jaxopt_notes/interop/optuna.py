"""Optuna's samplers as a search strategy, its storages as the place where trials are kept.

A batch is so many trials asked of a study at once, and told together. The study is in a storage, a
SQLite file unless told otherwise, so any number of processes may work on one study, each with whole batches
trained as one program; optuna's dashboard reads it meanwhile. The strategy's own state holds the numbers
of the trials that are its own.

Unlike the strategies of `jaxopt_notes.search`, this one is no pure function: to ask is to write into
the storage. So it runs on the host, never under `jax.jit`.
"""

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import check_choice, check_count, record, static
from jaxopt_notes.search.spaces.choices import Choice, StaticChoice
from jaxopt_notes.search.spaces.distributions import Distribution, Integers, LogUniform, Uniform
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions


class OptunaState(NamedTuple):
    """The distributions by name, the study's numbers of the trials asked for [n], and two counts."""

    dimensions: dict[str, Distribution]
    numbers: np.ndarray
    asked: int
    told: int


@record
class OptunaSearch:
    """See `optuna_search`."""

    n: int = static()
    sampler: Any = static()
    storage: Any = static()
    study_name: str = static()
    direction: str = static()

    def init(self, key: jax.Array, space: Space) -> OptunaState:
        found = dimensions(space)
        for axis in found.values():
            _distribution(axis)  # what optuna refuses is said before the first batch
        self.study()
        return OptunaState(found, np.full(self.n, -1), 0, 0)

    def remaining(self, state: OptunaState) -> int:
        return max(self.n - int(state.asked), 0)

    def ask(self, state: OptunaState, key: jax.Array, n: int) -> tuple[Configs, OptunaState]:
        if n > self.remaining(state):
            raise ValueError(
                f"optuna_search: asked for {n} configurations, {self.remaining(state)} of {self.n} are "
                "left: raise n= or ask for fewer."
            )
        study = self.study(int(jax.random.randint(key, (), 0, 2**31 - 1)))
        fixed = {name: _distribution(axis) for name, axis in state.dimensions.items()}
        trials = [study.ask(fixed) for _ in range(n)]
        configs = {
            name: _column(axis, [trial.params[name] for trial in trials])
            for name, axis in state.dimensions.items()
        }
        numbers = state.numbers.copy()
        numbers[state.asked : state.asked + n] = [trial.number for trial in trials]
        return configs, state._replace(numbers=numbers, asked=state.asked + n)

    def tell(self, state: OptunaState, configs: Configs, scores: Any) -> OptunaState:
        from optuna.trial import TrialState

        study, sign = self.study(), -1.0 if self.direction == "maximize" else 1.0
        scores = np.asarray(scores, float)
        for number, score in zip(state.numbers[state.told :], scores, strict=False):
            outcome = {"values": sign * score} if np.isfinite(score) else {"state": TrialState.FAIL}
            try:
                study.tell(int(number), **outcome)
            except RuntimeError as error:
                if "Study.stop" not in str(error):  # an exhausted GridSampler stops a loop that is not there
                    raise
        return state._replace(told=state.told + len(scores))

    def study(self, seed: int | None = None) -> Any:
        """The `optuna.Study` in its storage, made if it is not there; its sampler has this seed."""
        sampler = self.sampler(seed=seed) if callable(self.sampler) else self.sampler
        return _open(self.storage, self.study_name, self.direction, sampler)


def optuna_search(
    n: int = 100,
    sampler: Any = "TPESampler",
    storage: Any = "sqlite:///optuna.db",
    study_name: str = "jaxopt_notes",
    direction: str = "minimize",
) -> OptunaSearch:
    """Any of Optuna's samplers as a strategy, with the trials in any of its storages.

        configs = params of [study.ask(distributions) for each of n];  study.tell(numberᵢ, scoreᵢ)

    Arguments:
        n: configurations that this process asks for; other processes ask for their own.
        sampler: the name of a class in `optuna.samplers`, or a function that makes a sampler from `seed=`:
            either is made anew for each batch, seeded by the key. Or a sampler, used as it is. The default
            counts trials in work as bad ones, so that the points of a batch keep apart.
        storage: a URL as SQLAlchemy writes it (SQLite here, "postgresql://…" for several machines), or a
            storage object of Optuna.
        study_name: the study in that storage; an existing one is continued.
        direction: that of the study. Strategies minimize; with "maximize" the study gets the scores with
            their signs changed back, so that it shows what `sweep(mode="max")` maximizes.

    Returns:
        An `OptunaSearch` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs, scores)`,
        `remaining(state)`, and `study()`. A diverged configuration becomes a failed trial. Static choices
        appear as their values, or as names where Optuna cannot store them; a `normal` dimension appears
        as its quantile in [0, 1].

    Raises:
        ModuleNotFoundError: optuna is missing. ValueError: an unknown sampler, or a wrong number.

    Example:
        >>> from jaxopt_notes.search import log_uniform
        >>> strategy = optuna_search(20, storage="sqlite:////tmp/study.db")  # doctest: +SKIP
        >>> state = strategy.init(key, {"rate": log_uniform(1e-4, 1e-1)})  # doctest: +SKIP
        >>> configs, state = strategy.ask(state, key, 20)  # doctest: +SKIP

    Source: Akiba et al. 2019; row S1-48 of the notes.

    Elsewhere: optuna's own `study.optimize` asks for one trial at a time, a thread or a process each.
    """
    check_count("optuna_search(n)", n, 1)
    check_choice("optuna_search(direction)", direction, ("minimize", "maximize"))
    try:
        import optuna
    except ImportError as error:
        raise ModuleNotFoundError(
            "optuna_search() needs optuna, which is not importable: pip install jaxopt-notes[search]."
        ) from error
    if isinstance(sampler, str):
        names = tuple(name for name in dir(optuna.samplers) if name.endswith("Sampler"))
        sampler = getattr(optuna.samplers, check_choice("optuna_search(sampler)", sampler, names))
        if sampler is optuna.samplers.TPESampler:
            sampler = functools.partial(sampler, constant_liar=True)
    return OptunaSearch(n, sampler, storage, study_name, direction)


def _open(storage: Any, name: str, direction: Any, sampler: Any) -> Any:
    """The study; several processes may be about to make it, and its tables, at the same moment."""
    import optuna
    from sqlalchemy.exc import DBAPIError

    for patience in (0.1, 0.3, 1.0, 3.0, None):
        try:
            place: Any = _connect(storage) if isinstance(storage, str) else storage
            return optuna.create_study(
                storage=place, sampler=sampler, study_name=name, direction=direction, load_if_exists=True
            )
        except DBAPIError:
            if patience is None:
                raise
            time.sleep(patience)


@functools.cache
def _connect(url: str) -> Any:
    """One connection for each storage and process; a writer waits for others for up to a minute."""
    import optuna

    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None
    return optuna.storages.RDBStorage(url, engine_kwargs=options)


def _distribution(axis: Distribution) -> Any:
    """Optuna's distribution for one of ours; the unit interval for those that it has not."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(axis, Uniform | LogUniform):
        return FloatDistribution(float(axis.low), float(axis.high), log=isinstance(axis, LogUniform))
    if isinstance(axis, Integers):
        return IntDistribution(int(axis.low), int(axis.high) - 1)
    if isinstance(axis, Choice | StaticChoice):
        return CategoricalDistribution(_labels(axis))
    return FloatDistribution(0.0, 1.0)


def _labels(axis: Choice | StaticChoice) -> list:
    """The values of a choice as Optuna can store them: themselves, or their places and names."""
    values = np.asarray(axis.values).tolist() if isinstance(axis, Choice) else list(axis.values)
    plain = all(value is None or isinstance(value, bool | int | float | str) for value in values)
    if plain and len(set(values)) == len(values):
        return values
    return [f"{i}: {getattr(value, '__name__', value)}" for i, value in enumerate(values)]


def _column(axis: Distribution, params: list) -> jax.Array:
    """Optuna's values of one dimension as a column of ours."""
    if isinstance(axis, Choice | StaticChoice):
        labels = _labels(axis)
        place = jnp.asarray([labels.index(value) for value in params], jnp.result_type(int))
        return axis.values[place] if isinstance(axis, Choice) else place
    if isinstance(axis, Integers):
        return jnp.asarray(params, jnp.result_type(int))
    column = jnp.asarray(params, jnp.result_type(float))
    return column if isinstance(axis, Uniform | LogUniform) else axis.from_unit(column)

"""Optuna's samplers as a search strategy, its storages as the place where trials are kept.

A batch is a number of trials that are asked of a study at once and told together, so the sampler knows
the scores of all batches before. The study is in a storage, a SQLite file unless told otherwise, so any
number of processes may work on one study, each with whole batches trained as one program; optuna's dashboard
reads it meanwhile. The strategy's own state holds the numbers of the trials that are its own.

Unlike the strategies of `jaxopt_notes.search`, this one is not a pure function: asking writes into
the storage. So it runs on the host, never under `jax.jit`.
"""

import contextlib
import functools
import inspect
import os
import pathlib
import time
import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.interop.optuna_workers import TAKEN_UP, Worker, wanted
from jaxopt_notes.record import check_choice, check_count, check_number, record, static
from jaxopt_notes.search.export import as_written
from jaxopt_notes.search.spaces.choices import Choice, StaticChoice
from jaxopt_notes.search.spaces.distributions import Distribution, Integers, LogUniform, Uniform
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.serialization.atomic import make_folder

_WORKERS: dict[tuple, Worker] = {}  # of this process, by storage and study


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
    batch: int = static()
    shared: bool = static()
    grace: float = static()

    def init(self, key: jax.Array, space: Space) -> OptunaState:
        if self.shared:
            self._worker(anew=True)
        found = dimensions(space)
        fixed = {name: _distribution(axis) for name, axis in found.items()}
        _check_sampler(self.study().sampler, fixed)  # what Optuna refuses is said before the first batch
        return OptunaState(found, np.full(self.n, -1), 0, 0)

    def remaining(self, state: OptunaState) -> int:
        if self.shared:
            return wanted(self.study(), self._worker(), self.n, self.batch)
        return min(self.batch, self.n - int(state.asked))

    def ask(self, state: OptunaState, key: jax.Array, n: int) -> tuple[Configs, OptunaState]:
        left = self.n - int(state.asked)
        if n > left and not self.shared:
            raise ValueError(
                f"optuna_search: asked for {n} configurations, {left} of {self.n} are left: raise n= or ask "
                "for fewer."
            )
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        if self.shared:  # workers with equal keys must not ask for equal trials
            seed ^= zlib.crc32(self._worker().name.encode()) >> 1
        study = self.study(seed)
        self._check_trials(study, state)
        fixed = {name: _distribution(axis) for name, axis in state.dimensions.items()}
        trials = []
        for _ in range(n):
            trials.append(study.ask(fixed))
            if self.shared:
                self._worker().own(trials[-1])
        configs = {
            name: _column(axis, fixed[name], [trial.params[name] for trial in trials])
            for name, axis in state.dimensions.items()
        }
        numbers = np.full(max(len(state.numbers), state.asked + n), -1)
        numbers[: len(state.numbers)] = state.numbers
        numbers[state.asked : state.asked + n] = [trial.number for trial in trials]
        return configs, state._replace(numbers=numbers, asked=state.asked + n)

    def tell(self, state: OptunaState, configs: Configs, scores: ArrayLike) -> OptunaState:
        from optuna.trial import TrialState

        study, sign = self.study(), -1.0 if self.direction == "maximize" else 1.0
        scores = np.asarray(scores, float)
        for number, score in zip(state.numbers[state.told :], scores, strict=False):
            outcome = {"values": sign * score} if np.isfinite(score) else {"state": TrialState.FAIL}
            try:
                study.tell(int(number), **outcome)
            except (RuntimeError, ValueError) as error:
                if self.shared and TAKEN_UP in study.get_trials(deepcopy=False)[int(number)].user_attrs:
                    continue  # others thought that this worker was dead, and have trained it
                if "Study.stop" not in str(error):  # an exhausted GridSampler stops a loop that is not there
                    raise
        return state._replace(told=state.told + len(scores))

    def study(self, seed: int | None = None) -> Any:
        """The `optuna.Study` in its storage, made if it is not there; its sampler has this seed."""
        sampler = self.sampler(seed=seed) if callable(self.sampler) else self.sampler
        return _open(self.storage, self.study_name, self.direction, sampler)

    def _worker(self, anew: bool = False) -> Worker:
        """This process in the study; a search that begins is a new worker."""
        place = (id(self.storage) if not isinstance(self.storage, str) else self.storage, self.study_name)
        if anew and place in _WORKERS:
            _WORKERS.pop(place).stop()
        if place not in _WORKERS:
            _WORKERS[place] = Worker(self.study(), self.grace)
        return _WORKERS[place]

    def _check_trials(self, study: Any, state: OptunaState) -> None:
        """Refuse to go on where the scores that were told have gone, because the sampler would be blind."""
        last, there = int(state.numbers.max(initial=-1)), len(study.get_trials(deepcopy=False))
        if last >= there:
            raise ValueError(
                f"optuna_search(storage): the study {self.study_name!r} has {there} trials, and this search "
                f"has asked for number {last}: the trials of an earlier process are lost. Give a storage "
                'that outlives a process, such as "sqlite:///optuna.db", and begin in a new folder.'
            )


def optuna_search(
    n: int = 100,
    sampler: Any = "TPESampler",
    storage: Any = "sqlite:///optuna.db",
    study_name: str = "jaxopt_notes",
    direction: str = "minimize",
    *,
    batch: int = 8,
    shared: bool = False,
    grace: float = 120.0,
) -> OptunaSearch:
    """Any of Optuna's samplers as a strategy, with the trials in any of its storages.

        configs = params of [study.ask(distributions) for each of batch];  study.tell(numberᵢ, scoreᵢ)

    Arguments:
        n: configurations that this process asks for; other processes ask for their own. With `shared` the
            trials of the study in all.
        sampler: the name of a class in `optuna.samplers`, or a function that makes a sampler from `seed=`:
            either is made anew for each batch, seeded by the key. Or a sampler, used as it is, for those
            that take more than a seed. The default counts running trials as bad ones, so that the points of
            a batch keep apart.
        storage: a URL as SQLAlchemy writes it (SQLite here, "postgresql+psycopg2://…" for several machines),
            the path of a journal file, as "study.journal" (on a file system that all machines see), a
            storage object of Optuna, or `None`, as in Optuna: the memory of this process.
        study_name: the study in that storage; an existing one is continued.
        direction: that of the study. Strategies minimize; with "maximize" the study gets the scores with
            their signs changed back, so that it shows what `sweep(mode="max")` maximizes.
        batch: configurations that are asked for together, at most: the sampler has seen the scores of all
            batches before, and none of this one. 1 is Optuna's own way; larger ones fill the machine.
        shared: work on the study together with other processes, started the same way, on this or on other
            machines: until it has n trials (a few more where two ask for the last ones at once). What a
            process leaves unfinished when it is killed, others train. The study is the memory of such a
            search: give `sweep` no folder.
        grace: seconds without a sign of life after which a process counts as dead.

    Returns:
        An `OptunaSearch` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs, scores)`,
        `remaining(state)`, the size of the next batch, and `study()`. A diverged configuration becomes a
        failed trial. Static choices appear as their values, or as names where Optuna cannot store them; a
        `normal` dimension appears as its quantile in [0, 1].

    Raises:
        ModuleNotFoundError: optuna is missing. ValueError: an unknown sampler, one that needs more than a
            seed (`GridSampler`, `PartialFixedSampler`: make it and pass it), one that does not know a
            dimension of the space (`BruteForceSampler` no continuous one), or a wrong number. TypeError: the
            sampler or the storage is none.

    Example:
        >>> from jaxopt_notes.search import log_uniform
        >>> strategy = optuna_search(20, storage="sqlite:////tmp/study.db")  # doctest: +SKIP
        >>> state = strategy.init(key, {"rate": log_uniform(1e-4, 1e-1)})  # doctest: +SKIP
        >>> configs, state = strategy.ask(state, key, strategy.remaining(state))  # doctest: +SKIP

    Source: Akiba et al. 2019.

    Elsewhere: optuna's own `study.optimize` asks for one trial at a time, a thread or a process each.
    """
    check_count("optuna_search(n)", n, 1)
    check_count("optuna_search(batch)", batch, 1)
    check_choice("optuna_search(shared)", shared, (False, True))
    check_number("optuna_search(grace)", grace, "(0, inf)")
    check_choice("optuna_search(direction)", direction, ("minimize", "maximize"))
    try:
        import optuna
    except ImportError as error:
        raise ModuleNotFoundError(
            "optuna_search() needs optuna, which is not importable: pip install jaxopt-notes[search]."
        ) from error
    if isinstance(sampler, str):
        sampler = _sampler_by_name(sampler)
    elif not callable(sampler) and not isinstance(sampler, optuna.samplers.BaseSampler):
        raise TypeError(
            f"optuna_search(sampler) is {sampler!r}, expected the name of a class in optuna.samplers, a "
            "sampler, or a function that makes one from seed=."
        )
    if storage is None:
        storage = optuna.storages.InMemoryStorage()
    elif isinstance(storage, os.PathLike):
        storage = os.fspath(storage)
    elif not isinstance(storage, str | optuna.storages.BaseStorage):
        raise TypeError(
            f"optuna_search(storage) is {storage!r}, expected a URL, the path of a journal file, a storage "
            "of optuna.storages, or None for the memory of this process."
        )
    return OptunaSearch(n, sampler, storage, study_name, direction, batch, shared, float(grace))


# What does the same without a sampler that has to be told more than a seed.
INSTEAD = {
    "GridSampler": "jn.grid_search(points) takes the values from the space",
    "PartialFixedSampler": "a number in place of a distribution is fixed in any space",
}


def _sampler_by_name(name: str) -> Any:
    """A function of `seed=` that makes one of Optuna's samplers.

    Raises:
        ValueError: there is none of that name, or it cannot be made from a seed alone.
    """
    import optuna

    made = {found: getattr(optuna.samplers, found) for found in dir(optuna.samplers)
            if found.endswith("Sampler") and not found.startswith("Base")}  # fmt: skip
    needs = {found: _required(sampler) for found, sampler in made.items()}
    if needs.get(name):
        instead = f"{INSTEAD[name]}; or " if name in INSTEAD else ""
        raise ValueError(
            f"optuna_search(sampler) is {name!r}, which cannot be made from a seed alone, it needs "
            f"{' and '.join(needs[name])}: {instead}pass the sampler itself, "
            f"sampler=optuna.samplers.{name}(...)."
        )
    check_choice("optuna_search(sampler)", name, tuple(found for found in made if not needs[found]))
    if made[name] is optuna.samplers.TPESampler:
        return functools.partial(made[name], constant_liar=True)
    return made[name]


def _required(sampler: type) -> list[str]:
    """The arguments without which a sampler cannot be made."""
    arguments = inspect.signature(sampler).parameters.values()
    return [
        a.name for a in arguments if a.default is a.empty and a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)
    ]


def _check_sampler(sampler: Any, fixed: dict[str, Any]) -> None:
    """Refuse a sampler that fails on the first trial of such a space."""
    import optuna

    if isinstance(sampler, optuna.samplers.BruteForceSampler):
        for name, axis in fixed.items():
            if isinstance(axis, optuna.distributions.FloatDistribution) and axis.step is None:
                raise ValueError(
                    f"optuna_search(sampler) is BruteForceSampler, which tries every configuration, and "
                    f"{name!r} is continuous: use choice(...), static_choice(...) or integers(...) for all, "
                    "or another sampler."
                )


def _open(storage: Any, name: str, direction: Any, sampler: Any) -> Any:
    """The study; several processes may be about to make it, and its tables, at the same moment."""
    import optuna
    from sqlalchemy.exc import DBAPIError

    for patience in (0.1, 0.3, 1.0, 3.0, None):
        try:
            place: Any = _connect(storage) if isinstance(storage, str) else storage
            with contextlib.suppress(KeyError):  # it is not there yet
                return optuna.load_study(study_name=name, storage=place, sampler=sampler)
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
    from sqlalchemy import make_url

    file = url if "://" not in url else make_url(url).database if url.startswith("sqlite") else None
    if file:
        make_folder(pathlib.Path(file).parent)
    if "://" not in url:
        from optuna.storages.journal import JournalFileBackend, JournalStorage

        return JournalStorage(JournalFileBackend(url))
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
        return CategoricalDistribution(labels(axis))
    return FloatDistribution(0.0, 1.0)


def labels(axis: Choice | StaticChoice) -> list:
    """The values of a choice as Optuna can store them: themselves, or their places and names."""
    values = list(map(as_written, np.asarray(axis.values))) if isinstance(axis, Choice) else list(axis.values)
    plain = all(value is None or isinstance(value, bool | int | float | str) for value in values)
    if plain and len(set(values)) == len(values):
        return values
    return [f"{i}: {getattr(value, '__name__', value)}" for i, value in enumerate(values)]


def _column(axis: Distribution, found: Any, params: list) -> jax.Array:
    """Optuna's values of one dimension, whose distribution there is `found`, as a column of ours."""
    if isinstance(axis, Choice | StaticChoice):
        # Optuna finds a value's place; `list.index` does not find NaN, which is equal to nothing
        place = jnp.asarray([int(found.to_internal_repr(value)) for value in params], jnp.result_type(int))
        return axis.values[place] if isinstance(axis, Choice) else place
    if isinstance(axis, Integers):
        return jnp.asarray(params, jnp.result_type(int))
    column = jnp.asarray(params, jnp.result_type(float))
    return column if isinstance(axis, Uniform | LogUniform) else axis.from_unit(column)

"""Sweeps: a search strategy, a function from hyperparameters to a training run, and the engine.

`build(h)` makes a `Trainer` from one configuration. All configurations × seeds of a batch are members of
one population, trained by one compiled program; only what changes the structure (a `static_choice`: a
width, a batch size, an activation) makes a program of its own. A strategy that wants more after a batch is
asked again, and may continue runs that it has seen (`rounds.py`).
"""

import contextlib
import dataclasses
import functools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_notes.data import SealedTestSet
from jaxopt_notes.data.arrays import check_data
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.population import fingerprint, hosts
from jaxopt_notes.population.keys import check_key, members_keys
from jaxopt_notes.population.machine import machine_for
from jaxopt_notes.population.program_cache import kept_for
from jaxopt_notes.population.progress import Progress, check_progress
from jaxopt_notes.population.store import Store, check_folder
from jaxopt_notes.record import check_choice, check_count, check_takes
from jaxopt_notes.search.arguments import (
    check_loggers,
    check_names,
    check_strategy,
    for_objectives,
    names_of,
)
from jaxopt_notes.search.cross_validation import fold_data
from jaxopt_notes.search.export import faults
from jaxopt_notes.search.known import Queue, observations, read_rows, with_room
from jaxopt_notes.search.limits import check_limits
from jaxopt_notes.search.member import Build
from jaxopt_notes.search.names import reserved_names
from jaxopt_notes.search.results import Results
from jaxopt_notes.search.rounds import Rounds, blank, columns_of, values
from jaxopt_notes.search.rule import Rule, check_constraints, check_monitors
from jaxopt_notes.search.segments import Task
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.elsewhere import as_space
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.table import Table, check_growth, check_rounds
from jaxopt_notes.search.watcher import Watcher
from jaxopt_notes.search.winner import PARTS, Origin, Winners, check_keep_params
from jaxopt_notes.training.evaluation import check_weights

MAY_GROW = ("trials", "seeds", "epochs")  # of a sweep in a folder


def sweep(
    build: Callable[[Any], Any],
    space: Space,
    data: Any,
    strategy: Any,
    *,
    seeds: int = 1,
    folds: Any = None,
    preprocess: Callable | None = None,
    epochs: int = 20,
    key: jax.Array,
    monitor: str | Sequence[str] = "valid_loss",
    mode: str | Sequence[str] = "min",
    constraints: Mapping[str, Any] | None = None,
    at: str = "best",
    segment: int | None = None,
    refit: str | None = None,
    keep_params: str | int | None = None,
    keep_states: bool = False,
    enqueue: Any = None,
    learn_from: Results | None = None,
    target: float | None = None,
    seconds: float | None = None,
    patience: int | None = None,
    folder: str | os.PathLike | None = None,
    progress: Progress = None,
    on_chunk: Callable[[np.ndarray, Configs, Tree], None] | None = None,
    logger: Any = None,
    **engine: Any,
) -> Results:
    """Train configurations × seeds in one compiled program per structure, on every core and device.

        until remaining(state) = 0:   configs ← ask,   scores ← train,   state ← tell(configs, ± mean score)
        score[i, s] = best over epochs of history[monitor] of build(configs[i]) with key s

    Arguments:
        build: a pure function from a configuration (the space with values in place of distributions)
            to a `Trainer`.
        space: a dict (or any pytree) of distributions and constants; frozen distributions of scipy.stats and
            those of Optuna are read as ours (`as_space`).
        data: `(train, validation)`, each (x, y), or (x, y, weights) as `fit` takes them, or a `Split`, whose
            test set is not looked at; with `folds` one (x, y), or (x, y, weights).
        strategy: such as `random_search(256)`, or `successive_halving(27)`.
        seeds: members per configuration. Seed s has the same key in every configuration, so that
            configurations are compared on equal initial parameters and orders.
        folds: cross-validate: a number of folds (dealt by key, stratified where y are classes), or `Folds` as
            `grouped_kfold_indices` and its like make them. Every configuration then has seeds × folds runs,
            run s·folds + f with seed s in fold f, and its mean score weighs the folds by their sizes.
        preprocess: with `folds`: `fit(x, weights=w)` → a record with `apply(x)`, such as `fit_standardizer`;
            it is fitted to the training part of each fold, where an example counts by its weight.
        epochs: epochs per member, where the strategy does not say it.
        key: a typed random key; the results are a function of it.
        monitor: the score, a name of the history: "valid_loss", "valid_accuracy", "loss", … A member
            whose monitor is not finite after an epoch has diverged and is trained no further. Or several,
            ("valid_loss", "parameters"), for a strategy that takes several objectives (`nsga2`), or that
            does not learn; "parameters" is the number of them, which a sweep counts.
            `results.pareto_front()` are then the compromises worth having.
        mode: "min" if less is better, "max" if more is; or one for each monitor.
        constraints: bounds of mean values: {"parameters": 5000} for at most, {"valid_accuracy": (0.9, None)}
            for at least. What keeps them ranks first; strategies are told of others as of diverged ones, but
            `nsga2` of how far they are from keeping them.
        at: the score is taken at the "best" epoch of the whole run, with the epochs of the runs that it
            continues, or at the "last"; with several monitors all at the epoch that is best in the first.
        segment: train in segments of this many epochs, and leave those that have stopped or diverged out of
            the next: they then cost nothing, and the results stay the same. `None` for one piece, which is
            quicker where few stop.
        refit: train the best configuration once more at the end, on "train" or on "train+validation"; see
            `Results.refit`. `results.refitted` is then the trained model, and `results.predict` its outputs.
        keep_params: keep the networks of the "best" trial, of this many of the best, or of "all", for
            `Results.predict` and `predict_all`, and in the folder. `None` keeps none: scores
            are enough to rank.
        keep_states: keep the whole state of every run in the folder, so that the same sweep with more epochs
            trains only those; without them runs begin anew.
        enqueue: known configurations, which are tried first, in the places of the first that the strategy
            draws: a dict, a list of them, a dict of columns, a data frame, or the `Results` of another sweep,
            whose five best are taken. What they leave out of the space stays as it was drawn.
        learn_from: the `Results` of another sweep of this space and monitor, of which the strategy is told
            before it is asked for anything: for `bayesian` and `nsga2`. Nothing of it is trained again, and
            none of it is in these results.
        target: end after the batch in which a configuration has this score or a better one.
        seconds: begin no further batch after this time; what the folder has already does not count.
        patience: end when this many configurations in a row were no better than the best. With any of
            these three, strategies that ask for all at once are asked for 16 at a time.
        folder: keep what is finished there. A killed sweep that is started again with the same arguments
            trains only the rest, and returns what it would have returned. A finished one goes on where more
            is asked for: `random_search(64)`, `sobol`, `halton`, `bayesian`, `cma_es` after fewer trials,
            more `seeds`, more `epochs`; what was asked for before stays as it is. Otherwise nothing is
            written.
        progress: True, False, None (a bar on a terminal or in a notebook), or a function called as
            `progress(done, members)`.
        on_chunk: called in this thread as members finish, with their numbers, their configurations
            and their results `{"score": …, "history": …}`, all [k, …]. Member i·seeds + s is
            configuration i with seed s. Those that the folder holds come first.
        logger: such as `csv_logger(path)`, or several; each is told of every member that has finished.
        engine: further arguments of `population_map`: `chunk_size`, `batch_size`, `devices`, `programs`, …
            The results do not depend on them but for rounding. Programs are kept as long as `build` lives,
            so a second sweep with it, and what it closes over unchanged, compiles nothing. Numbers,
            arrays, functions and records are looked into; a change inside another object is not seen, as
            with `jax.jit`: give `programs=jn.search.Programs()` then.

    Returns:
        `Results`. Those of a strategy that continues runs have the columns `epochs` and `parent`. A
            hyperparameter may have any name; a column of the sweep's own that has the same one is then
            `sweep/epochs`, `sweep/seed`, `history/loss`, … in results, files and logs.

    Raises:
        TypeError: a sealed test set among the data, an argument that is unknown or of the wrong kind, or a
            build that needs the value of a hyperparameter that is data. ValueError: a monitor that is not in
            the history, a value that is not allowed, or a folder that holds another sweep.
            BlockingIOError: another process is at work in the folder. MemoryError: it would not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_notes as jn
        >>> x = jnp.linspace(-1, 1, 32)[:, None]
        >>> def build(h):
        ...     return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None)
        >>> results = jn.sweep(build, {"rate": jn.choice([0.01, 0.5])}, ((x, 2 * x), (x, 2 * x)),
        ...                    jn.grid_search(2), epochs=5, key=jax.random.key(0))
        >>> results.best["rate"]
        0.5

    Source: Goodfellow, Bengio & Courville 2016, section 11.4; Bergstra & Bengio 2012.

    Elsewhere: scikit-learn's RandomizedSearchCV and Ray Tune run one process a trial; with optax,
    `jax.vmap` over a function that builds the optimizer inside does the same on one device.
    """
    check_names("sweep", engine, [*names_of(sweep), *names_of(machine_for, ["caller"])])
    check_takes("sweep(build)", build, 1, "build(configuration), which returns a Trainer")
    if on_chunk is not None:
        check_takes("sweep(on_chunk)", on_chunk, 3, "on_chunk(members, configurations, results)")
    check_strategy("sweep(strategy)", strategy)
    if space is None:
        raise TypeError('sweep(space) is None, expected a dict: {"rate": jn.log_uniform(1e-4, 1e-1)}.')
    space = as_space(space)
    key = members_keys("sweep(key)", check_key("sweep(key)", key))
    check_folder("sweep(folder)", folder)
    monitors, modes = check_monitors("sweep", monitor, mode)
    bounds = check_constraints("sweep", constraints)
    strategy = for_objectives("sweep", strategy, len(monitors))
    rows = read_rows("sweep(enqueue)", enqueue, space)
    check_progress("sweep(progress)", progress)
    check_choice("sweep(keep_states)", keep_states, (False, True))
    loggers = check_loggers("sweep(logger)", logger)
    rule = Rule(monitors, modes, at, bounds)
    check_choice("sweep(at)", at, ("best", "last"))
    seeds, epochs = check_count("sweep(seeds)", seeds, 1), check_count("sweep(epochs)", epochs, 1)
    if segment is not None:
        check_count("sweep(segment)", segment, 1, "None trains in one piece")
    kept = check_keep_params(keep_params)
    limits = check_limits("sweep", target, seconds, patience, modes)
    if refit is not None:
        check_choice("sweep(refit)", refit, PARTS)
    folded = None
    if folds is None:
        if preprocess is not None:
            raise ValueError("sweep(preprocess) needs folds: apply it to train and validation yourself.")
        parts = _check_data(data)
    else:
        whole = _check_whole(data)
        if preprocess is not None and not callable(preprocess):
            raise TypeError(f"sweep(preprocess) is {preprocess!r}, expected a function: jn.fit_standardizer.")
        folded = fold_data("sweep", folds, preprocess, whole, jax.random.fold_in(key, 5))
        parts = (whole, folded)
        rule = rule._replace(folds=len(folded.folds.train), sizes=folded.sizes(seeds))
    runs = seeds * rule.folds
    observed = None
    if learn_from is not None:
        observed = observations("sweep(learn_from)", learn_from, space, rule)
        strategy = with_room("sweep(learn_from)", strategy, len(observed))
    watcher = Watcher(progress, on_chunk, loggers, runs, rule.monitor, rule.mode)
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.transfer_guard("allow"))  # between device and host goes what is meant to
        stack.callback(watcher.close)
        machine = machine_for("sweep", **{"programs": kept_for(build), **engine})
        builder = Build(build)
        strategy_key, ask_key, later_key, keys = _keys(key, seeds, rule.folds)
        store = None
        if folder is not None:
            settings = _settings(
                builder, space, strategy, parts, key, seeds=seeds, epochs=epochs, monitor=monitor, mode=mode,
                at=at, segment=segment, batch_size=engine.get("batch_size"),
                **({"constraints": bounds} if bounds else {}),
                **({"enqueue": rows} if rows else {}),
                **({} if observed is None else {"learn_from": observed.words}),
            )  # fmt: skip
            store = stack.enter_context(Store(folder, settings, hosts.is_leader(), MAY_GROW))
            if store.leader:
                check_rounds(store)
                check_growth(store)
                store.settle()
            hosts.meet("sweep")
        task = Task(machine, machine.place(parts), segment, store, watcher.compiling, {})
        winners = None if kept == 0 else Winners(kept, runs, store)
        rounds = Rounds(
            builder, space, strategy, task, keys, epochs, rule, watcher, winners, keep_states, limits,
            Queue(strategy, space, rows), observed,
        )  # fmt: skip
        table = rounds.run(strategy_key, lambda r: ask_key if r == 0 else jax.random.fold_in(later_key, r))
        models = rounds.models(build)
    results = dataclasses.replace(
        _results(table, rounds, rule, space),
        origin=Origin(build, parts, key, epochs, preprocess),
        folds=rule.folds,
        sizes=None if folded is None else rule.sizes,
        models=models,
    )
    for sentence in faults(results):
        warnings.warn(f"sweep: {sentence}", stacklevel=2)
    if refit is None:
        return results
    return dataclasses.replace(results, refitted=results.refit(refit, progress=False))


@functools.partial(jax.jit, static_argnums=(1, 2))
def _keys(key: jax.Array, seeds: int, folds: int) -> tuple[jax.Array, ...]:
    """For the strategy, its first batch and later ones, and of every run of a configuration."""
    strategy_key, ask_key, seed_key, later_key = jax.random.split(key, 4)
    runs = jax.random.split(seed_key, seeds)[np.repeat(np.arange(seeds), folds)]
    return strategy_key, ask_key, later_key, runs


def _results(table: Table, rounds: Rounds, rule: Rule, space: Space) -> Results:
    """All rounds as one table."""
    axes = dimensions(space)
    columns: dict[str, list] = {}
    curves: dict[str, list] = {}
    longest = max(batch.history[rule.monitor].shape[2] for batch in table.rounds)
    for batch in table.rounds:
        for name, column in columns_of(batch, reserved_names(axes)).items():
            columns.setdefault(name, []).append(values(axes.get(name), column))
    for name, like in {name: c for batch in table.rounds for name, c in batch.history.items()}.items():
        for batch in table.rounds:  # a round may have no run whose history has this name
            curve = batch.history.get(name, blank((*batch.scores.shape, 0, *like.shape[3:]), like.dtype))
            rest = (*curve.shape[:2], longest - curve.shape[2], *curve.shape[3:])
            curves.setdefault(name, []).append(np.concatenate([curve, blank(rest, curve.dtype)], axis=2))
    several = len(rule.names) > 1
    found = [rounds.measured(batch) for batch in table.rounds] if several else []
    return Results(
        {name: np.concatenate(parts) for name, parts in columns.items()},
        np.concatenate([batch.scores for batch in table.rounds]), rule.monitor, rule.mode,
        {name: np.concatenate(parts) for name, parts in curves.items()}, tuple(rounds.reports), space,
        measured={name: np.concatenate([values_of[name] for values_of in found]) for name in rule.names[1:]},
        others=dict(zip(rule.monitors[1:], rule.modes[1:], strict=True)), constraints=rule.constraints,
    )  # fmt: skip


def _settings(build: Build, space: Space, strategy: Any, parts: tuple, key: jax.Array, **others: Any) -> dict:
    """What a sweep is a function of, in words: one entry for each dimension and constant of the space."""
    leaves = jax.tree.leaves_with_path(space, is_leaf=lambda leaf: isinstance(leaf, Distribution))
    trials = {}
    if hasattr(strategy, "go_on"):  # it is the same strategy with more trials
        strategy, trials = dataclasses.replace(strategy, n=0), {"trials": str(strategy.n)}
    return {
        "build": build.words,
        **{f"space {path_name(path)}": _in_full(leaf) for path, leaf in leaves},
        "data": fingerprint.of_tree(parts),
        "strategy": _in_full(strategy),
        **trials,
        "key": fingerprint.of_tree(key),
        **{name: str(value) for name, value in others.items()},
        **fingerprint.library(),
    }


def _in_full(value: Any) -> str:
    """A part of the space, or a strategy, in words, with the numbers that the words leave out.

    A record prints its arrays as "float32[3]" and its scalars with six digits.
    """
    words = fingerprint.in_words(value)
    leaves = [leaf for leaf in jax.tree.leaves(value) if hasattr(leaf, "dtype")]
    return f"{words} {fingerprint.of_tree(leaves)}" if leaves else words


def _check_whole(data: Any) -> tuple:
    """The data of a cross-validation, all of it: (x, y), or (x, y, weights)."""
    if any(isinstance(part, SealedTestSet) for part in (data if isinstance(data, tuple | list) else [data])):
        raise TypeError("sweep(data) has a SealedTestSet, expected (x, y): the test set chooses nothing.")
    check_data("sweep(data)", data)
    nested = isinstance(data, tuple | list) and any(isinstance(part, tuple | list) for part in data)
    if not _is_set(data) or nested:
        raise TypeError(
            "sweep(data) with folds must be one pair (x, y), or (x, y, weights): the folds divide it."
        )
    check_weights("sweep(data)", data)
    return tuple(data)


def _is_set(part: Any) -> bool:
    return isinstance(part, tuple | list) and len(part) in (2, 3)


def _check_data(data: Any) -> tuple[Any, Any]:
    parts = (data.train, data.validation) if hasattr(data, "validation") else data
    if any(
        isinstance(part, SealedTestSet) for part in (parts if isinstance(parts, tuple | list) else [parts])
    ):
        raise TypeError(
            "sweep(data) has a SealedTestSet, expected (train, validation): the test set chooses nothing, "
            "it is opened once for the final score."
        )
    if not (isinstance(parts, tuple | list) and len(parts) == 2 and all(map(_is_set, parts))):
        raise TypeError(
            "sweep(data) must be (train, validation), each a pair (x, y) or (x, y, weights), or a Split."
        )
    for name, part in zip(("train", "validation"), parts, strict=True):
        check_weights(f"sweep(data), {name},", part)
    return tuple(parts[0]), tuple(parts[1])

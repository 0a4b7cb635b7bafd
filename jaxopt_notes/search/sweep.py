"""Sweeps: a search strategy, a function from hyperparameters to a training run, and the engine.

`build(h)` makes a `Trainer` from one configuration. All configurations × seeds are members of one
population, trained by one compiled program; only what changes the structure (a `static_choice`: a
width, a batch size, an activation) makes a program of its own.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.data import SealedTestSet
from jaxopt_notes.record import check_choice, check_count
from jaxopt_notes.search.choices import StaticChoice
from jaxopt_notes.search.population import population_map
from jaxopt_notes.search.progress import Progress, progress_bar
from jaxopt_notes.search.results import Results
from jaxopt_notes.search.space import Configs, Space, dimensions, fill
from jaxopt_notes.trees import Tree


def sweep(
    build: Callable[[Any], Any],
    space: Space,
    data: Any,
    strategy: Any,
    *,
    seeds: int = 1,
    epochs: int = 20,
    key: jax.Array,
    monitor: str = "valid_loss",
    mode: str = "min",
    at: str = "best",
    progress: Progress = None,
    on_chunk: Callable[[np.ndarray, Configs, Tree], None] | None = None,
    **engine: Any,
) -> Results:
    """Train configurations × seeds in one compiled program per structure, on every core and device.

        score[i, s] = best over epochs of history[monitor] of build(configs[i]) with key s

    Arguments:
        build: a pure function from a configuration (the space with values in place of distributions)
            to a `Trainer`.
        space: a dict (or any pytree) of distributions and constants.
        data: `(train, validation)`, each a pair (x, y), or a `Split`, whose test set is not looked at.
        strategy: such as `random_search(256)`.
        seeds: members per configuration. Seed s has the same key in every configuration, so that
            configurations are compared on equal initial parameters and orders.
        epochs: epochs per member.
        key: a typed random key; the results are a function of it.
        monitor: the score, a name of the history: "valid_loss", "valid_accuracy", "loss", …
        mode: "min" if less is better, "max" if more is.
        at: the score is taken at the "best" epoch or at the "last".
        progress: True, False, None (a bar on a terminal or in a notebook), or a function called as
            `progress(done, members)`.
        on_chunk: called in this thread as members finish, with their numbers, their configurations
            and their results `{"score": …, "history": …}`, all [k, …]. Member i·seeds + s is
            configuration i with seed s.
        engine: further arguments of `population_map`: `chunk_size`, `batch_size`, `devices`, …

    Returns:
        `Results`.

    Raises:
        TypeError: a sealed test set among the data. ValueError: a monitor that the history has not,
            or a wrong argument.

    Example:
        >>> import jaxopt_notes as jn
        >>> x = jnp.linspace(-1, 1, 32)[:, None]
        >>> def build(h):
        ...     return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None)
        >>> results = jn.sweep(build, {"rate": jn.choice([0.01, 0.5])}, ((x, 2 * x), (x, 2 * x)),
        ...                    jn.grid_search(2), epochs=5, key=jax.random.key(0))
        >>> results.best["rate"]
        0.5

    Source: rows S1-39…S1-45 of the notes.

    Elsewhere: scikit-learn's RandomizedSearchCV and Ray Tune run one process a trial; with optax,
    `jax.vmap` over a function that builds the optimizer inside does the same on one device.
    """
    check_choice("sweep(mode)", mode, ("min", "max"))
    check_choice("sweep(at)", at, ("best", "last"))
    seeds, epochs = check_count("sweep(seeds)", seeds, 1), check_count("sweep(epochs)", epochs, 1)
    train_data, valid_data = _check_data(data)
    strategy_key, ask_key, seed_key = jax.random.split(key, 3)
    configs, _ = strategy.ask(state := strategy.init(strategy_key, space), ask_key, strategy.remaining(state))
    axes = dimensions(space)
    configs = {name: np.asarray(column) for name, column in configs.items()}
    n = len(next(iter(configs.values()))) if configs else 1
    keys = jax.random.split(seed_key, seeds)
    member_config, member_seed = np.divmod(np.arange(n * seeds), seeds)

    scores = np.full(n * seeds, np.nan)
    history: dict[str, np.ndarray] = {}
    reports = []
    bar = progress_bar(False if callable(progress) else progress, n * seeds, "members")
    done = 0
    with bar:
        for static, group in _groups(configs, axes, n):
            members = np.flatnonzero(np.isin(member_config, group))
            rows = {
                name: column[member_config[members]] for name, column in configs.items() if name not in static
            }
            train = _member(build, space, static, epochs, monitor, mode, at)

            def deliver(index: np.ndarray, out: Tree, members: np.ndarray = members) -> None:
                nonlocal done
                found = members[index]
                scores[found] = out["score"]
                for name, curve in out["history"].items():
                    history.setdefault(name, np.empty((n * seeds, *curve.shape[1:]), curve.dtype))[found] = (
                        curve
                    )
                done += len(index)
                if on_chunk is not None:
                    on_chunk(
                        found, {name: column[member_config[found]] for name, column in configs.items()}, out
                    )
                if callable(progress):
                    progress(done, n * seeds)
                bar.update(len(index))
                if (finite := scores[np.isfinite(scores)]).size:
                    best = finite.max() if mode == "max" else finite.min()
                    bar.set_postfix_str(f"best {monitor} {best:.4f}")

            _, report = population_map(
                train, rows, keys[member_seed[members]],
                shared=(train_data, valid_data), on_chunk=deliver, return_report=True, **engine,
            )  # fmt: skip
            reports.append(report)

    columns = {name: _values(axes[name], column) for name, column in configs.items()}
    curves = {name: curve.reshape(n, seeds, *curve.shape[1:]) for name, curve in history.items()}
    return Results(columns, scores.reshape(n, seeds), monitor, mode, curves, tuple(reports), space)


def _member(
    build: Callable, space: Space, static: dict[str, int], epochs: int, monitor: str, mode: str, at: str
) -> Callable:
    """What `population_map` trains: one configuration with one key, on the data of all."""

    def train(config: Configs, key: jax.Array, train_data: tuple, valid_data: tuple) -> dict[str, Tree]:
        trainer = build(fill(space, {**config, **static}))
        state = trainer.init(key, train_data)
        _, history = trainer.advance(state, train_data, valid_data, epochs)
        if monitor not in history:
            raise ValueError(f"sweep(monitor) is {monitor!r}, expected one of {', '.join(sorted(history))}.")
        curve = history[monitor]
        best = jnp.max(curve) if mode == "max" else jnp.min(curve)
        return {"score": best if at == "best" else curve[-1], "history": history}

    return train


def _groups(configs: Configs, axes: dict[str, Any], n: int) -> list[tuple[dict[str, int], np.ndarray]]:
    """Configurations with equal static choices: those choices, and the numbers of the configurations."""
    names = [name for name, axis in axes.items() if isinstance(axis, StaticChoice)]
    if not names:
        return [({}, np.arange(n))]
    table = np.stack([configs[name] for name in names], axis=1)
    choices, where = np.unique(table, axis=0, return_inverse=True)
    where = where.reshape(-1)
    return [
        (dict(zip(names, map(int, row), strict=True)), np.flatnonzero(where == i))
        for i, row in enumerate(choices)
    ]


def _values(axis: Any, column: np.ndarray) -> np.ndarray:
    """A column for people: the values of static choices instead of their positions."""
    if not isinstance(axis, StaticChoice):
        return column
    values = np.empty(len(column), object)
    values[:] = [axis.values[int(position)] for position in column]
    return values


def _check_data(data: Any) -> tuple[Any, Any]:
    parts = (data.train, data.validation) if hasattr(data, "validation") else data
    if any(
        isinstance(part, SealedTestSet) for part in (parts if isinstance(parts, tuple | list) else [parts])
    ):
        raise TypeError(
            "sweep(data) has a SealedTestSet, expected (train, validation): the test set chooses nothing, "
            "it is opened once for the final score."
        )
    if not (isinstance(parts, tuple | list) and len(parts) == 2 and all(len(part) == 2 for part in parts)):
        raise TypeError("sweep(data) must be (train, validation), each a pair (x, y), or a Split.")
    return tuple(parts[0]), tuple(parts[1])

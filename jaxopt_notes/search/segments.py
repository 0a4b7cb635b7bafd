"""Training some members in segments of epochs, with those that have stopped left out of the next.

Between segments states are on the host, and only members that still run are packed into new groups. So a
member that stopped early or diverged costs nothing more, and the results are those of the run in one piece:
its last entries are repeated.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population.chunk_program import Rows, is_key
from jaxopt_notes.population.execution import Hooks, Population, Report, run_population
from jaxopt_notes.population.keys import take_keys
from jaxopt_notes.population.layout import Layout
from jaxopt_notes.population.machine import Machine
from jaxopt_notes.population.store import Store
from jaxopt_notes.search.member import Runs

Curves = dict[str, np.ndarray]  # name → [members, epochs]


class Start(NamedTuple):
    """Where members go on: their states, and the latest entries of their histories, by row."""

    state: Tree
    latest: dict[str, np.ndarray]


class Members(NamedTuple):
    """Who is trained: configurations and keys [members], and where they go on (`None`: the beginning)."""

    configs: dict[str, np.ndarray]
    keys: jax.Array
    start: Start | None

    def to_train(self, active: np.ndarray, state: Tree, latest: Curves | None) -> Tree:
        """What their program takes of those still active: configurations, and where they go on."""
        return self.configs if state is None else take((self.configs, state, latest), active)


class Trained(NamedTuple):
    """What became of members: their histories since the start, their states if kept, and reports."""

    history: Curves
    state: Tree
    reports: list[Report]


class Task(NamedTuple):
    """What is the same for all members of a sweep.

    Arguments:
        machine: what trains them.
        data: (train, validation).
        segment: epochs between two compactions; `None` for none.
        store: the folder, or `None`.
        on_compile: as in `population_map`.
        layouts: those in use, by the kind of members; filled in on the way.
    """

    machine: Machine
    data: tuple
    segment: int | None
    store: Store | None
    on_compile: Callable[[str], None] | None
    layouts: dict[str, Layout]


def train_members(
    task: Task,
    runs: Runs,
    members: Members,
    epochs: int,
    *,
    keep: bool,
    prefix: str,
    on_finished: Callable[[np.ndarray, Curves], None],
) -> Trained:
    """Train members of one structure for some more epochs.

    Arguments:
        task, runs: what all have in common.
        members: who is trained.
        epochs: how many more, at least 1.
        keep: whether their states are wanted.
        prefix: names what is put into the folder on the way.
        on_finished: called with the numbers of members that have finished, and their histories.
    """
    n, length = len(members.keys), min(task.segment or epochs, epochs)
    keeps = keep or length < epochs  # states are wanted of every segment: one program for all
    histories, reports = _Histories(n, epochs), []  # type: tuple[_Histories, list[Report]]
    state, latest = members.start or (None, None)
    active = np.arange(n)
    if latest is not None:
        stopped = np.asarray(getattr(state, "stopped", np.zeros(n, bool)))
        running = ~stopped & runs.is_finite(latest)
        active, idle = np.flatnonzero(running), np.flatnonzero(~running)
        histories.put(idle, 0, {name: entry[idle][:, None] for name, entry in latest.items()})
        if len(idle):
            on_finished(idle, take(histories.curves, idle))

    def deliver_to(active: np.ndarray, done: int, more: int) -> Callable[[np.ndarray, Tree], None]:
        def deliver(index: np.ndarray, out: Tree) -> None:
            found = active[index]
            histories.put(found, done, take(out["history"], np.s_[:, :more]))
            finished = found if done + more == epochs else found[out["stopped"]]
            if len(finished):
                on_finished(finished, take(histories.curves, finished))

        return deliver

    for number, done in enumerate(range(0, epochs, length)):
        if not len(active):
            break
        more = min(length, epochs - done)
        counts = [np.asarray(count, np.int32) for count in (more, 1)]  # of epochs; one is enough to measure
        train = runs.function(task.machine.programs, keeps)
        population = Population(
            train if state is None else train.then,
            Rows.of(members.to_train(active, state, latest), take_keys(members.keys, active)),
            (counts[0], *task.data), (counts[1], *task.data), task.machine.full() if keep else 1,
            keeps,
        )  # fmt: skip
        out, report = run_population(
            population, task.machine, Hooks(task.on_compile, deliver_to(active, done, more)),
            None if task.store is None else task.store.shelf(f"{prefix}-{number:03d}", runs.kind),
            task.layouts.get(runs.kind),
        )  # fmt: skip
        reports.append(report)
        task.layouts.setdefault(runs.kind, report.layout)
        histories.put(active, done, take(out["history"], np.s_[:, :more]))
        if keeps:
            state = out["state"] if len(active) == n else put(state, active, out["state"])
        latest = {name: curve[:, done + more - 1] for name, curve in histories.curves.items()}
        active = active[~out["stopped"]]
    return Trained(histories.curves, state if keep else None, reports)


def take(tree: Tree, index: Any) -> Tree:
    """Some rows of all leaves."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def put(tree: Tree, index: np.ndarray, rows: Tree) -> Tree:
    """The tree with some rows replaced."""

    def put_leaf(leaf: Any, row: Any) -> Any:
        if is_key(leaf):
            return leaf.at[index].set(row)
        new = np.array(leaf)
        new[index] = row
        return new

    return jax.tree.map(put_leaf, tree, rows)


class _Histories:
    """The histories of members on the host [members, epochs], filled in segment by segment."""

    def __init__(self, members: int, epochs: int):
        self.curves: Curves = {}
        self._shape = (members, epochs)

    def put(self, members: np.ndarray, done: int, piece: Curves) -> None:
        """The next epochs of some members; the last of them stands for all that follow, too."""
        for name, rows in piece.items():
            if name not in self.curves:
                self.curves[name] = np.zeros((*self._shape, *rows.shape[2:]), rows.dtype)
            end = done + rows.shape[1]
            self.curves[name][members, done:end] = rows
            self.curves[name][members, end:] = rows[:, -1:]

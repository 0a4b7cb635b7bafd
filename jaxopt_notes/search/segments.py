"""Training some members in segments of epochs, with those that have stopped left out of the next.

Between segments states are on the host, and only members that still run are packed into new groups. So a
member that stopped early or diverged costs nothing more, and the results are those of the run in one piece:
its last entries are repeated.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population.chunk_program import Rows, is_key
from jaxopt_notes.population.execution import Hooks, Report, run_population
from jaxopt_notes.population.layout import Layout
from jaxopt_notes.population.machine import Engine
from jaxopt_notes.population.store import Store
from jaxopt_notes.search.member import Runs

Curves = dict[str, np.ndarray]  # name → [members, epochs]


class Start(NamedTuple):
    """Where members go on: their states, and the latest entries of their histories, by row."""

    state: Tree
    latest: dict[str, np.ndarray]


class Trained(NamedTuple):
    """What became of members: their histories since the start, their states if kept, reports, layout."""

    history: Curves
    state: Tree
    reports: list[Report]
    layout: Layout | None


class Task(NamedTuple):
    """What is the same for all members of a sweep.

    Arguments:
        machine: the engine.
        data: (train, validation).
        segment: epochs between two compactions; `None` for none.
        store: the folder, or `None`.
        room_for: lay out for so many members at least, so that smaller batches use the same program.
        on_compile: as in `population_map`.
    """

    machine: Engine
    data: tuple
    segment: int | None
    store: Store | None
    room_for: int
    on_compile: Callable[[str], None] | None


def train_members(
    task: Task,
    runs: Runs,
    configs: dict[str, np.ndarray],
    keys: jax.Array,
    start: Start | None,
    epochs: int,
    *,
    keep: bool,
    prefix: str,
    kind: str,
    where: Layout | None,
    on_finished: Callable[[np.ndarray, Curves], None],
) -> Trained:
    """Train members of one structure for some more epochs.

    Arguments:
        task, runs: what all have in common.
        configs: columns [members].
        keys: typed keys [members].
        start: where they go on, `None` for the beginning.
        epochs: how many more, at least 1.
        keep: whether their states are wanted.
        prefix: names what is put into the folder on the way.
        kind: names what has the same layout.
        where: that layout, to use its programs again; `None` at first.
        on_finished: called with the numbers of members that have finished, and their histories.
    """
    members, length = len(keys), min(task.segment or epochs, epochs)
    curves: Curves = {}
    active = np.arange(members)
    state, latest = (None, None) if start is None else start
    if start is not None:
        stopped = np.asarray(getattr(state, "stopped", np.zeros(members, bool)))
        active = np.flatnonzero(~stopped & np.isfinite(start.latest[runs.monitor]))
        idle = np.setdiff1d(np.arange(members), active)
        _extend(
            curves, members, epochs, idle, 0, {name: v[idle][:, None] for name, v in start.latest.items()}
        )
        if len(idle):
            on_finished(idle, take(curves, idle))
    reports: list[Report] = []
    for number, done in enumerate(range(0, epochs, length)):
        if not len(active):
            break
        more = min(length, epochs - done)
        last = done + more == epochs

        def deliver(
            index: np.ndarray, out: Tree, active: np.ndarray = active, done: int = done, more: int = more,
            last: bool = last,
        ) -> None:  # fmt: skip
            found = active[index]
            _extend(curves, members, epochs, found, done, take(out["history"], np.s_[:, :more]))
            finished = found if last else found[out["stopped"]]
            if len(finished):
                on_finished(finished, take(curves, finished))

        if state is None:
            name, member = "begin", configs  # type: tuple[str, Tree]
        else:
            name, member = "go_on", (take(configs, active), take(state, active), take(latest, active))
        wanted = keep or length < epochs  # one program for all segments
        train = task.machine.programs.function(
            (name, wanted, runs.signature()),
            lambda name=name, wanted=wanted: getattr(runs, name)(wanted),  # type: ignore[misc]
        )
        out, report = run_population(
            train, Rows.of(member, keys[active]), (jnp.asarray(more, jnp.int32), *task.data), task.machine,
            Hooks(task.on_compile, deliver),
            None if task.store is None else task.store.shelf(f"{prefix}-{number:03d}", kind),
            where, (jnp.asarray(1, jnp.int32), *task.data), task.room_for,
        )  # fmt: skip
        reports.append(report)
        where = where or report.layout
        _extend(curves, members, epochs, active, done, take(out["history"], np.s_[:, :more]))
        if wanted:
            state = out["state"] if len(active) == members else put(state, active, out["state"])
        latest = {name: curve[:, done + more - 1] for name, curve in curves.items()}
        active = active[~out["stopped"]]
    return Trained(curves, state if keep else None, reports, where)


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


def _extend(curves: Curves, members: int, epochs: int, found: np.ndarray, done: int, piece: Curves) -> None:
    """Put the next epochs of some members into their curves, the last of them in place of all that follow."""
    for name, rows in piece.items():
        if name not in curves:
            curves[name] = np.zeros((members, epochs, *rows.shape[2:]), rows.dtype)
        end = done + rows.shape[1]
        curves[name][found, done:end] = rows
        curves[name][found, end:] = rows[:, -1:]

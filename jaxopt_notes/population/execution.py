"""Running a population: what is on the shelf is taken from it, the rest is trained and delivered.

The results of every chunk reach the host as it finishes; there they are put into their columns, onto the
shelf, and handed to whoever listens, in that order: what has been announced is not lost.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population import hosts
from jaxopt_notes.population.chunk_program import Member, Program, Rows, Traced
from jaxopt_notes.population.layout import Layout, deal, slots
from jaxopt_notes.population.machine import Engine
from jaxopt_notes.population.memory import available, check_memory
from jaxopt_notes.population.store import Shelf
from jaxopt_notes.population.workers import run_chunks


class Report(NamedTuple):
    """How a population was run: the layout, the seconds spent, the memory that was reckoned with.

    Of the members, `restored` came from the folder, and `trained` by this process.
    """

    members: int
    chunks: int
    chunk_size: int
    batch_size: int
    devices: tuple
    workers: int
    compile_seconds: float
    run_seconds: float
    device_bytes: int = 0
    host_bytes: int = 0
    restored: int = 0
    trained: int = 0

    @property
    def layout(self) -> Layout:
        """The layout of the program that served."""
        return Layout(self.chunk_size // len(self.devices), self.batch_size, self.devices, self.workers)


class Hooks(NamedTuple):
    """What is called on the way; see `population_map`."""

    on_compile: Callable[[str], None] | None = None
    on_chunk: Callable[[np.ndarray, Tree], None] | None = None
    progress: Callable[[int, int], None] | None = None


def run_population(
    train: Callable,
    rows: Rows,
    shared: tuple,
    machine: Engine,
    hooks: Hooks = Hooks(),
    shelf: Shelf | None = None,
    where: Layout | None = None,
    measure_with: tuple | None = None,
    room_for: int = 1,
) -> tuple[Tree, Report]:
    """What `population_map` does, on an engine.

    Arguments:
        train, shared: as there.
        rows: configurations and keys.
        machine: the engine.
        hooks: what is called on the way.
        shelf: finished chunks of this population, and the layout that it was begun with.
        where: the layout of an earlier call, whose program then serves again.
        measure_with: the shared arguments to measure sizes with, where that is less work.
        room_for: lay out for so many members at least.

    Returns:
        The results and a `Report`.
    """
    members = len(rows.arrays[-1])
    shared = machine.place(shared)
    member = Member(train, rows, shared)
    leaves, treedef = jax.tree.flatten(shared)
    signature = (rows.signature(), treedef, tuple(map(_aval, leaves)))
    compile_seconds = 0.0

    def program_for(where: Layout) -> Program:
        nonlocal compile_seconds
        made = lambda: _compile(member, where, hooks)  # noqa: E731
        program, new = machine.programs.get(train, (signature, where), made)
        compile_seconds += program.seconds if new else 0.0
        return program

    def fitting() -> Layout:
        def measured(where: Layout) -> tuple:
            return program_for(where), rows, machine.place(measure_with or shared)

        return machine.layout(max(members, room_for), member.footprint, measured, (train, signature))

    where = where or (fitting() if shelf is None else _kept_layout(shelf, machine, fitting))
    saved = [] if shelf is None else shelf.names()
    traced: Any = Traced(member, where.batch) if saved else program_for(where)
    results = _Results(members, traced)

    def deliver(index: np.ndarray, leaves: list, new: bool = True) -> None:
        results.put(index, leaves)
        if new and shelf is not None:
            shelf.put(index, leaves)
        if hooks.on_chunk is not None:
            hooks.on_chunk(index, results.tree(leaves))
        if hooks.progress is not None:
            hooks.progress(int(results.finished.sum()), members)

    for name in saved:
        index, leaves = shelf.get(name) if shelf is not None else (None, [])
        if index is not None:
            results.check(name, index, leaves)
            deliver(index, leaves, new=False)
    restored = int(results.finished.sum())
    hosts.meet("restored")  # before anything new is in the folder
    todo = np.unique(np.flatnonzero(~results.finished) // where.batch)
    memory = (0, results.bytes)
    if len(todo):
        program = program_for(where)
        free, host_free = available(where.devices[0]), available(jax.local_devices(backend="cpu")[0])
        memory = check_memory(program.device_bytes, results.bytes, where, free, host_free)
    compiled = time.perf_counter()
    x64 = bool(jax.config.read("jax_enable_x64"))  # this thread's setting, for all

    def run(groups: np.ndarray) -> tuple:
        chunk = slots(groups, members, where)
        with jax.enable_x64(x64):
            out = jax.block_until_ready(program(rows, chunk, shared))
        return chunk.member[chunk.counts], [np.asarray(leaf)[chunk.counts] for leaf in out]

    chunks = deal(hosts.share_of(todo), where)
    run_chunks(lambda i: run(chunks[i]), range(len(chunks)), where.workers, lambda _, out: deliver(*out))
    trained = int(results.finished.sum()) - restored
    hosts.gather_rows(results.columns, results.finished)
    seconds = (compile_seconds, time.perf_counter() - compiled)
    report = Report(
        members, len(chunks), where.share * len(where.devices), where.batch, where.devices, where.workers,
        *seconds, *memory, restored, trained,
    )  # fmt: skip
    return results.tree(), report


def _kept_layout(shelf: Shelf, machine: Engine, fitting: Callable[[], Layout]) -> Layout:
    """The layout that a run was begun with, so that it goes on with the same groups; a new one at first."""
    kept = shelf.layout()
    if kept is not None:
        return Layout(*kept, machine.devices, machine.workers)
    where = fitting()
    hosts.meet("layout")  # all have looked before the first of them writes
    if hosts.is_leader():
        shelf.put_layout(where.share, where.batch)
    return where


def _compile(member: Member, where: Layout, hooks: Hooks) -> Program:
    if hooks.on_compile is not None:
        hooks.on_compile(
            f"compiling for {len(member.rows.arrays[-1])} members, {where.share} in a chunk, "
            f"{where.batch} in a group"
        )
    return Program(member, where)


class _Results:
    """The results of all members on the host, filled in chunk by chunk."""

    def __init__(self, members: int, traced: Any):
        self.treedef, self.impls = traced.treedef, traced.impls
        self.finished = np.zeros(members, bool)
        self.columns = [np.empty((members, *shape.shape[1:]), shape.dtype) for shape in traced.shapes]
        self.bytes = sum(column.nbytes for column in self.columns)

    def check(self, name: str, index: np.ndarray, leaves: list[np.ndarray]) -> None:
        """Refuse a chunk of other results."""
        wanted = [f"{column.dtype}{list(column.shape[1:])}" for column in self.columns]
        found = [f"{leaf.dtype}{list(leaf.shape[1:])}" for leaf in leaves]
        most = int(index.max(initial=0))
        if found != wanted or most >= len(self.finished):
            differs = (
                f"the results of a member are {found} there and {wanted} now"
                if found != wanted
                else f"it has member {most}, and now there are {len(self.finished)}"
            )
            raise ValueError(
                f"{name!r} in the folder is of another population: {differs}. Name another folder for this "
                "one; what is in that folder stays as it is."
            )

    def put(self, index: np.ndarray, leaves: list[np.ndarray]) -> None:
        """Keep the rows of one chunk."""
        for column, leaf in zip(self.columns, leaves, strict=True):
            column[index] = leaf
        self.finished[index] = True

    def tree(self, leaves: list[np.ndarray] | None = None) -> Tree:
        """A chunk's leaves, or all of them, as `train` returns them."""
        columns = [
            column if impl is None else jax.random.wrap_key_data(jnp.asarray(column), impl=impl)
            for column, impl in zip(self.columns if leaves is None else leaves, self.impls, strict=True)
        ]
        return jax.tree.unflatten(self.treedef, columns)


def _aval(leaf: jax.Array) -> tuple:
    return leaf.shape, leaf.dtype, leaf.weak_type

"""Running a population: what is on the shelf is taken from it, the rest is trained and delivered.

The results of every chunk reach the host as it finishes; there they are put into their columns, onto the
shelf, and handed to whoever listens, in that order: what has been announced is not lost.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.control_flow import own
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population import hosts
from jaxopt_notes.population.chunk_program import Member, Program, Rows, Started, Traced
from jaxopt_notes.population.eager import Eager, is_eager
from jaxopt_notes.population.layout import Layout, deal, following, slots
from jaxopt_notes.population.machine import Machine
from jaxopt_notes.population.memory import available, check_memory
from jaxopt_notes.population.program_cache import Programs
from jaxopt_notes.population.store import Shelf
from jaxopt_notes.population.workers import run_chunks

_STARTS = Programs(256)  # shapes, so that a start is not traced again where its program is there
KEPT_CHUNK = 1024  # members on an accelerator after which something is on disk, where that is asked for


class Report(NamedTuple):
    """How a population was run: the layout, the seconds spent, the estimated memory.

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


class Population(NamedTuple):
    """What is trained: `results[i] = train(configs[i], keys[i], *shared)`.

    Arguments:
        train, shared: as in `population_map`.
        rows: the configurations and keys.
        measured_with: the shared arguments to measure sizes with, where those are less work.
        room_for: lay out for at least this many members, so that later populations of this function,
            with more of them, use the same program.
        goes_on: whether what follows the start of a `Staged` function is to go on from its results, in later
            populations.
    """

    train: Callable[..., Tree]
    rows: Rows
    shared: tuple
    measured_with: tuple | None = None
    room_for: int = 1
    goes_on: bool = False

    @property
    def members(self) -> int:
        """How many."""
        return len(self.rows.arrays[-1])


class Staged:
    """A training function in two parts, which may be a program each; what is between stays on the device.

    train(config, key, *shared) = then(*start(config, key, *shared), *shared)

    In one program each member has all of what is between for itself, as from a program of its own: a loop
    that carries it is vectorized once, and not again for each part that turns out to differ.
    """

    def __init__(self, start: Callable[..., tuple], then: Callable[..., Tree]):
        self.start, self.then = start, then

    def __call__(self, config: Tree, key: jax.Array, *shared: Any) -> Tree:
        return self.then(*own(self.start(config, key, *shared)), *shared)


def run_population(
    population: Population,
    machine: Machine,
    hooks: Hooks = Hooks(),
    shelf: Shelf | None = None,
    layout: Layout | None = None,
) -> tuple[Tree, Report]:
    """Train a population on a machine.

    Arguments:
        population: what is trained.
        machine: what it is trained on.
        hooks: what is called on the way.
        shelf: finished chunks of this population, and the layout that it was begun with.
        layout: that of an earlier call, whose program then serves again.

    Returns:
        The results and a `Report`.
    """
    with jax.transfer_guard("allow"):  # what moves here is meant to
        return _run(population, machine, hooks, shelf, layout)


def _run(
    population: Population, machine: Machine, hooks: Hooks, shelf: Shelf | None, layout: Layout | None
) -> tuple[Tree, Report]:
    members, rows, eager = population.members, population.rows, is_eager()
    shared = machine.place(population.shared)
    programs = _Programs(population._replace(shared=shared), machine, hooks)
    if layout is None:
        layout = programs.layout() if shelf is None else _kept_layout(shelf, machine, programs)
    saved = [] if shelf is None else shelf.names()
    traced: Any = programs.traced(layout) if saved else programs.program(layout)
    results = _Results(members, traced)

    def deliver(index: np.ndarray, leaves: list, new: bool = True) -> None:
        results.put(index, leaves)
        if new and shelf is not None:
            shelf.put(index, leaves)
        if hooks.on_chunk is not None:
            hooks.on_chunk(index, results.tree([np.require(leaf, requirements="W") for leaf in leaves]))
        if hooks.progress is not None:
            hooks.progress(int(results.finished.sum()), members)

    for name in saved:
        index, leaves = shelf.get(name) if shelf is not None else (None, [])
        if index is not None:
            results.check(name, index, leaves)
            deliver(index, leaves, new=False)
    restored = int(results.finished.sum())
    hosts.meet("restored")  # before anything new is in the folder
    todo = np.unique(np.flatnonzero(~results.finished) // layout.batch)
    chunks = deal(hosts.share_of(todo), layout)
    calls = min(machine.callers(), max(len(chunks), 1))
    memory = (0, results.bytes)
    if len(todo):
        program = programs.program(layout) if saved else traced
        free = available(layout.devices[0])
        host_free = free if layout.on_cpu else available(jax.local_devices(backend="cpu")[0])
        memory = check_memory(program.device_bytes, results.bytes, layout, free, host_free, calls)
    compiled = time.perf_counter()
    x64 = bool(jax.config.read("jax_enable_x64"))  # this thread's setting, for all

    def run(groups: np.ndarray) -> tuple:
        chunk = slots(groups, members, layout)
        with jax.enable_x64(x64), jax.transfer_guard("allow"), machine.alone():
            out = jax.device_get(program(rows, chunk, shared))  # all copies begin at once
        return chunk.results(chunk.member), [chunk.results(leaf) for leaf in out]

    if eager:
        for groups in chunks:
            deliver(*run(groups))
    else:
        run_chunks(lambda i: run(chunks[i]), range(len(chunks)), calls, lambda _, out: deliver(*out))
    trained = int(results.finished.sum()) - restored
    hosts.gather_rows(results.columns, results.finished)
    report = Report(
        members, len(chunks), layout.share * len(layout.devices), layout.batch, layout.devices,
        layout.workers, programs.seconds, time.perf_counter() - compiled, *memory, restored, trained,
    )  # fmt: skip
    return results.tree(), report


class _Programs:
    """The programs of one population, by their layouts: those that the machine keeps, or new ones."""

    def __init__(self, population: Population, machine: Machine, hooks: Hooks):
        self._population, self._machine, self._hooks = population, machine, hooks
        # A program for the start alone pays where programs are compiled for long, or what follows is used
        # again; on a CPU it would keep the states of a whole chunk where one group's are enough.
        self._start: Callable[..., tuple] | None = None
        self._train = population.train
        if isinstance(self._train, Staged) and (population.goes_on or not machine.on_cpu()):
            self._start, self._train = self._train.start, self._train.then
        leaves, treedef = jax.tree.flatten(population.shared)
        self._shared = treedef, tuple(map(_aval, leaves))
        self._eager: Eager | None = None
        self.seconds = 0.0  # spent on compiling

    @functools.cached_property
    def _member(self) -> Member:
        """The function of one member; where its program is there already, nobody asks for it."""
        return Member(self._train, self._rows, self._population.shared)

    @functools.cached_property
    def _first(self) -> Member:
        """What makes that which a member starts from."""
        assert self._start is not None
        return Member(self._start, self._population.rows, self._population.shared)

    @functools.cached_property
    def _rows(self) -> Rows:
        """What the training function takes of all members; only shapes, where it is made on the device."""
        rows = self._population.rows
        if self._start is None:
            return rows
        with self._machine.alone():
            key = (rows.signature(), *self._shared)
            return _STARTS.get(self._start, key, lambda: self._first.results())[0]

    @functools.cached_property
    def _signature(self) -> tuple:
        return (self._rows.signature(), *self._shared)

    def layout(self, at_most: int | None = None) -> Layout:
        """The layout for this population on this machine; `at_most` members in an accelerator's chunk."""
        if is_eager():
            return Layout(1, 1, self._machine.devices[:1], 1)
        measured_with = self._population.measured_with or self._population.shared

        def measured(layout: Layout) -> tuple:
            return self.program(layout), self._population.rows, self._machine.place(measured_with)

        members = max(self._population.members, self._population.room_for)
        key = (self._train, self._signature)
        with self._machine.alone():
            return self._machine.layout(members, lambda: self._member.footprint(), measured, key, at_most)

    def program(self, layout: Layout) -> Program | Started | Eager:
        """The program of this layout; without jit the function itself."""
        if is_eager():
            self._eager = self._eager or Eager(*self._population[:3])
            return self._eager
        then = self._kept(self._train, (self._signature, layout), lambda: self._compile(layout))
        if self._start is None:
            return then
        key = (self._population.rows.signature(), *self._shared, layout)
        with self._machine.alone():
            return Started(self._kept(self._start, key, lambda: Program(self._first, layout)), then)

    def _kept(self, function: Callable, key: tuple, make: Callable[[], Program]) -> Program:
        program, new = self._machine.programs.get(function, key, make)
        self.seconds += program.seconds if new else 0.0
        return program

    def traced(self, layout: Layout) -> Traced | Program | Started | Eager:
        """What tells the shapes of results, without compiling."""
        if is_eager():
            return self.program(layout)
        with self._machine.alone():
            return Traced(self._member, layout.batch)

    def _compile(self, layout: Layout) -> Program:
        if self._hooks.on_compile is not None:
            self._hooks.on_compile(
                f"compiling for {self._population.members} members, {layout.share} in a chunk, "
                f"{layout.batch} in a group"
            )
        with self._machine.alone():
            return Program(self._member, layout)


def _kept_layout(shelf: Shelf, machine: Machine, programs: "_Programs") -> Layout:
    """The layout that a run was begun with, so that it goes on with the same groups; a new one at first."""
    kept = shelf.layout()
    if kept is not None:
        return Layout(*kept, machine.devices, machine.workers)
    layout = programs.layout(at_most=KEPT_CHUNK)
    hosts.meet("layout")  # all have looked before the first of them writes
    if hosts.is_leader():
        shelf.put_layout(layout.share, layout.batch)
    return layout


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
        at = following(index)
        for column, leaf in zip(self.columns, leaves, strict=True):
            column[at] = leaf
        self.finished[at] = True

    def tree(self, leaves: list[np.ndarray] | None = None) -> Tree:
        """A chunk's leaves, or all of them, as `train` returns them."""
        columns = [
            column if impl is None else jax.random.wrap_key_data(jnp.asarray(column), impl=impl)
            for column, impl in zip(self.columns if leaves is None else leaves, self.impls, strict=True)
        ]
        return jax.tree.unflatten(self.treedef, columns)


def _aval(leaf: jax.Array) -> tuple:
    return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)  # typed keys have none

"""A training function compiled for chunks of one layout.

Configurations and keys are rows of plain arrays on the host (`Rows`). A function over them is traced for one
member (`Member`), vectorized for a group (`Traced`) and compiled as a loop over the groups of a chunk
(`Program`). The loop's buffers are the chunk's own where an input and a result have the same shape (a
training state comes in and goes out): they are donated and updated in place. What members start from may be
made by a program of its own (`Started`).
"""

import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.one_core import compiled_for_one_core
from jaxopt_notes.population.footprint import footprint
from jaxopt_notes.population.layout import Layout, Slots, accepted, mesh_of
from jaxopt_notes.population.workers import cores
from jaxopt_notes.serialization.leaf import is_key

# On a CPU XLA divides loops and products among threads, which then wait for each other, and for the cores.
ONE_CORE: dict[str, Any] = {
    "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
    "xla_cpu_multi_thread_eigen": False,
}


class Rows(NamedTuple):
    """Configurations and keys of all members as plain arrays [members, …], and how to put them back."""

    arrays: list
    treedef: PyTreeDef
    impls: tuple

    @classmethod
    def of(cls, configs: Tree, keys: jax.Array) -> "Rows":
        leaves, treedef = jax.tree.flatten((configs, keys))
        return cls([as_numpy(leaf) for leaf in leaves], treedef, tuple(key_impl(leaf) for leaf in leaves))

    def signature(self) -> Hashable:
        """What a program is compiled for, beside the layout and shared arguments."""
        return self.treedef, self.impls, tuple((row.shape[1:], row.dtype) for row in self.arrays)

    def member(self, row: list) -> tuple[Tree, jax.Array]:
        """The configuration and the key that the arrays of one row hold."""
        leaves = [
            x if impl is None else jax.random.wrap_key_data(x, impl=impl)
            for x, impl in zip(row, self.impls, strict=True)
        ]
        return jax.tree.unflatten(self.treedef, leaves)

    def shapes(self, n: int) -> list:
        """The shapes of n rows."""
        return [jax.ShapeDtypeStruct((n, *row.shape[1:]), row.dtype) for row in self.arrays]


class Member:
    """One member's training as a function of plain arrays: `member(row, shared)`, traced once.

    Arguments:
        train: `train(config, key, *shared) -> pytree`.
        rows: of all members.
        shared: the further arguments, arrays.
    """

    def __init__(self, train: Callable[..., Tree], rows: Rows, shared: tuple):
        def member(row: list, shared: tuple) -> tuple:
            out, out_treedef = jax.tree.flatten(train(*rows.member(row), *shared))
            plain = [jax.random.key_data(leaf) if is_key(leaf) else jnp.asarray(leaf) for leaf in out]
            return plain, _Structure(out_treedef, tuple(key_impl(leaf) for leaf in out))

        self.rows, self.shared, self.run = rows, shared, jax.jit(member)

    def footprint(self) -> int:
        """The bytes that it works on at a time."""
        return footprint(self.run.trace(self._row(), self.shared).jaxpr)

    def results(self) -> Rows:
        """The shapes of its results as a row, for a function of them."""
        leaves, structure = jax.eval_shape(self.run, self._row(), self.shared)
        arrays = [jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype) for leaf in leaves]
        return Rows(arrays, structure.treedef, structure.impls)

    def _row(self) -> list:
        return [jax.ShapeDtypeStruct(array.shape[1:], array.dtype) for array in self.rows.arrays]


class Traced:
    """The members of a group, vectorized: plain arrays in and out.

    `run(rows, shared)` gives the leaves of a group's results, `shapes` are theirs; `treedef` and `impls`
    put them back together.
    """

    def __init__(self, member: Member, batch: int):
        def group(rows: list, shared: tuple) -> tuple:
            if batch > 1:
                return jax.vmap(member.run, in_axes=(0, None))(rows, shared)
            alone = member.run([row[0] for row in rows], shared)  # conditions stay conditions
            return jax.tree.map(lambda x: x[None], alone)

        run = jax.jit(group)  # traced once, for the shapes here and in the loop there
        self.shapes, structure = jax.eval_shape(run, member.rows.shapes(batch), member.shared)
        self.treedef, self.impls = structure.treedef, structure.impls
        self.run = lambda rows, shared: run(rows, shared)[0]


@jax.tree_util.register_static
class _Structure:
    """What a trace tells of its result beside the arrays."""

    def __init__(self, treedef: PyTreeDef, impls: tuple):
        self.treedef, self.impls = treedef, impls

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Structure) and (self.treedef, self.impls) == (other.treedef, other.impls)

    def __hash__(self) -> int:
        return hash(self.treedef)


class Program:
    """Compiled for chunks of one layout: `program(rows, slots, shared)` gives the leaves of their results."""

    def __init__(self, member: Member, layout: Layout):
        began = time.perf_counter()
        traced, rows, shared = Traced(member, layout.batch), member.rows, member.shared
        self.shapes, self.treedef, self.impls = traced.shapes, traced.treedef, traced.impls
        self.buffers = _reuse(rows.shapes(layout.share), layout.share, self.shapes)
        loops = layout.share > layout.batch or layout.on_cpu
        function = (_loop if loops else _at_once)(traced, self.buffers, layout)
        mesh = mesh_of(layout.devices)
        across, everywhere = PartitionSpec("members"), PartitionSpec()
        if (
            len(layout.devices) > 1
        ):  # a scan may start from constants, which the check of varying axes forbids
            function = jax.shard_map(
                function, mesh=mesh, in_specs=(across, across, across, everywhere), out_specs=across,
                check_vma=False,
            )  # fmt: skip
        wide = NamedSharding(mesh, across)
        jitted = jax.jit(
            function, in_shardings=(wide, wide, wide, NamedSharding(mesh, everywhere)), out_shardings=wide,
            donate_argnums=0,
        )  # fmt: skip
        used = jax.ShapeDtypeStruct((len(layout.devices),), np.int32)
        split = self._split(rows.shapes(layout.share * len(layout.devices)))
        one_core = _has_one_core(layout)
        with compiled_for_one_core(one_core):
            lowered = jitted.lower(*split, used, shared)
        self.compiled = lowered.compile(ONE_CORE if one_core else {})
        stats = self.compiled.memory_analysis()
        self.device_bytes = 0 if stats is None else (
            stats.argument_size_in_bytes + stats.output_size_in_bytes + stats.temp_size_in_bytes
            - stats.alias_size_in_bytes
        )  # fmt: skip
        self.seconds = time.perf_counter() - began

    def __call__(self, rows: Rows, chunk: Slots, shared: tuple) -> list:
        donated, kept = self._split([chunk.rows(row) for row in rows.arrays])
        donated = [row.copy() for row in donated]  # they may be views of what the caller has
        return self.compiled(donated, kept, chunk.groups, shared)

    def of_slots(self, arrays: list, groups: np.ndarray, shared: tuple) -> list:
        """The same of arrays that hold what is in each slot, and that nobody needs any more."""
        return self.compiled(*self._split(arrays), groups, shared)

    def _split(self, rows: list) -> tuple[list, list]:
        """Rows whose buffers become results, in the order of the results, and the others."""
        given = [i for i in self.buffers if i is not None]
        return [rows[i] for i in given], [row for i, row in enumerate(rows) if i not in given]


class Started:
    """Two programs of one layout: the second takes what the first has made, which stays on the device.

    Compilers take longer for one program of both: what is drawn once then lives beside a loop over epochs.
    And runs that go on are the second program alone.
    """

    def __init__(self, first: Program, then: Program):
        self._first, self._then = first, then
        self.shapes, self.treedef, self.impls = then.shapes, then.treedef, then.impls
        self.device_bytes = max(first.device_bytes, then.device_bytes)

    def __call__(self, rows: Rows, chunk: Slots, shared: tuple) -> list:
        made = self._first(rows, chunk, shared)
        return self._then.of_slots([accepted(x) for x in made], chunk.groups, shared)


def _has_one_core(layout: Layout) -> bool:
    """Whether a program has one core of a CPU, where the other cores have chunks of their own.

    A share of one member may be all that there is, and is left to all cores.
    """
    on_cpu = layout.on_cpu and len(layout.devices) == 1
    return on_cpu and layout.workers >= max(2, cores()) and layout.share > 1


def _reuse(chunk: list, share: int, results: list) -> list[int | None]:
    """For each result the row whose buffer it takes over: one of the same shape and dtype, if there is."""
    free: dict[tuple, list[int]] = {}
    for i, row in enumerate(chunk):
        free.setdefault((row.shape, row.dtype), []).append(i)
    wanted = [free.get(((share, *shape.shape[1:]), shape.dtype)) for shape in results]
    return [rows.pop(0) if rows else None for rows in wanted]


def _loop(traced: Traced, buffers: list[int | None], layout: Layout) -> Callable:
    """The loop over the groups of one device's share; groups beyond those in use are not computed."""
    run, shapes = traced.run, traced.shapes
    given = [i for i in buffers if i is not None]

    def program(donated: list, kept: list, used: jax.Array, shared: tuple) -> list:
        total = len(donated) + len(kept)
        others = [i for i in range(total) if i not in given]
        start = [
            jnp.zeros((layout.share, *shape.shape[1:]), shape.dtype) if i is None else donated[given.index(i)]
            for shape, i in zip(shapes, buffers, strict=True)
        ]

        def step(g: jax.Array, out: list) -> list:
            at = g * layout.batch
            rows: list[Any] = [None] * total
            for i, row in zip(others, kept, strict=True):
                rows[i] = row
            for taken, buffer in zip(buffers, out, strict=True):
                if taken is not None:
                    rows[taken] = buffer  # this group's part of it is not yet a result
            group = [lax.dynamic_slice_in_dim(row, at, layout.batch) for row in rows]
            results = run(group, shared)
            return [
                lax.dynamic_update_slice_in_dim(buffer, result, at, 0)
                for buffer, result in zip(out, results, strict=True)
            ]

        return lax.fori_loop(0, used[0], step, start)

    return program


def _at_once(traced: Traced, buffers: list[int | None], layout: Layout) -> Callable:
    """The one group of one device's share. On a CPU a loop of one turn has the bits of a longer one."""
    given = [i for i in buffers if i is not None]

    def program(donated: list, kept: list, used: jax.Array, shared: tuple) -> list:
        rows: list[Any] = [None] * (len(donated) + len(kept))
        for i, row in zip(given, donated, strict=True):
            rows[i] = row
        others = iter(kept)
        return traced.run([next(others) if row is None else row for row in rows], shared)

    return program


def key_impl(leaf: Any) -> Any:
    """The generator of typed keys, else None."""
    return jax.random.key_impl(leaf) if is_key(leaf) else None


def as_numpy(leaf: Any) -> np.ndarray:
    """The leaf on the host, in the dtype that JAX gives it; typed keys as their words."""
    array = np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)

"""What a population is run on, and the sizes that suit it: devices, worker threads, chunks and groups.

Sizes are those that are given, or were measured to be good for what a member works on at a time, or, with
`chunk_size="measure"`, the fastest of a few on this machine and this training function.
"""

import concurrent.futures
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence

import jax
from jax.sharding import NamedSharding, PartitionSpec

from jaxopt_notes.population import hosts
from jaxopt_notes.population.layout import (
    Layout,
    accepted,
    arrange,
    deal,
    default_batch,
    default_chunk,
    mesh_of,
    slots,
)
from jaxopt_notes.population.memory import available
from jaxopt_notes.population.program_cache import KEPT, Programs
from jaxopt_notes.population.workers import cores
from jaxopt_notes.record import check_count

# What is tried, (chunk_size, batch_size): on CPU what is vectorized matters, elsewhere what is in flight.
CPU_SIZES = ((32, 1), (32, 4), (32, 8), (32, 16), (64, 32))
DEVICE_SIZES = ((64, 64), (256, 256), (1024, 1024), (4096, 4096))

FOOTPRINTS = Programs(256)  # so that a function is not traced again only to choose the same layout


@dataclasses.dataclass(frozen=True)
class Machine:
    """Devices, threads, sizes, and the store of compiled programs; see `machine_for`."""

    devices: tuple
    workers: int
    chunk_size: int | str | None
    batch_size: int | None
    programs: Programs

    def layout(
        self,
        members: int,
        footprint: Callable[[], int],
        program_for: Callable[[Layout], tuple],
        key: tuple,
        at_most: int | None = None,
    ) -> Layout:
        """The layout for a population.

        Arguments:
            members: how many.
            footprint: gives the bytes that a member works on at a time.
            program_for: gives `(program, rows, shared)` for a layout, to measure it.
            key: the training function, and what else its speed depends on.
            at_most: members in a chunk on an accelerator, where no size is given.
        """
        function, signature = key
        if self.chunk_size != "measure":
            chunk, batch = self.chunk_size, self.batch_size
            if self.on_cpu() and (chunk is None or batch is None):
                one = FOOTPRINTS.get(function, signature, footprint)[0]
                chunk, batch = (
                    chunk or default_chunk(one),
                    batch or default_batch(one, members // self._lanes()),
                )
            if chunk is not None:
                return self._fit(members, int(chunk), batch)
            most = min(at_most or members, -(-members // self._lanes()))
            layout, _ = self.programs.get(
                function, ("fits", signature, self.devices, members, most, batch),
                lambda: self._largest(members, most, program_for),
            )  # fmt: skip
            return layout
        sizes = CPU_SIZES if self.on_cpu() else DEVICE_SIZES
        wanted = [(chunk, batch) for chunk, batch in sizes if batch <= members]
        few = min(members, 64 * self._lanes())  # beyond it the choice does not change
        measured, _ = self.programs.get(
            function, ("measured", signature, self.devices, self.workers, few),
            lambda: max(wanted, key=lambda sizes: self._rate(members, sizes, program_for)),
        )  # fmt: skip
        return self._fit(members, *measured)

    def callers(self) -> int:
        """Calls at the same time: on an accelerator the next chunk waits there while one is fetched."""
        return self.workers if self.on_cpu() else max(self.workers, 2)

    def _largest(self, members: int, most: int, program_for: Callable[[Layout], tuple]) -> Layout:
        """The largest chunks that fit the memory of a device, by the figure of the program made for them."""
        free = hosts.least(available(self.devices[0]))
        while True:
            layout = self._fit(members, most, self.batch_size)
            calls = min(self.callers(), -(-members // (layout.share * len(self.devices))))
            try:
                needed = calls * program_for(layout)[0].device_bytes
            except jax.errors.JaxRuntimeError as error:  # TPU's compiler refuses what does not fit
                if "RESOURCE_EXHAUSTED" not in str(error) or layout.share == 1:
                    raise
                most = layout.share // 2
                continue
            if free is None or needed <= free or layout.share == 1:
                return layout
            most = min(layout.share - 1, max(1, int(0.9 * layout.share * free / needed)))

    def full(self) -> int:
        """Members that make one group on each core: fewer would be a layout, and a program, of their own."""
        grouped = self.on_cpu() and self.chunk_size != "measure"
        return self._lanes() * (self.batch_size or default_batch(0)) if grouped else 1

    def place(self, shared: tuple) -> tuple:
        """The arguments that all members share, one copy on each device."""
        placed = jax.device_put(shared, NamedSharding(mesh_of(self.devices), PartitionSpec()))
        return jax.tree.map(accepted, placed)

    def alone(self) -> contextlib.AbstractContextManager:
        """A context in which arrays and programs are of these devices, whatever mesh the caller has set."""
        unset = jax.sharding.get_abstract_mesh().empty
        return contextlib.nullcontext() if unset else jax.set_mesh(mesh_of(self.devices))

    def on_cpu(self) -> bool:
        """Whether the devices are those of a CPU host."""
        return Layout(1, 1, self.devices, 1).on_cpu

    def _lanes(self) -> int:
        return max(self.workers, len(self.devices))

    def _fit(self, members: int, chunk: int, batch: int | None) -> Layout:
        share, batch = arrange(members, self._lanes(), chunk, batch or chunk)
        return Layout(share, batch, self.devices, self.workers)

    def _rate(self, members: int, sizes: tuple[int, int], program_for: Callable) -> float:
        """Members a second, with one group on each lane at the same time."""
        layout = self._fit(members, *sizes)
        program, rows, shared = program_for(layout)
        members = len(rows.arrays[-1])
        groups = -(-members // layout.batch)
        chunks = [slots(chunk, members, layout) for chunk in deal(range(min(layout.lanes, groups)), layout)]
        seconds = []
        with concurrent.futures.ThreadPoolExecutor(self.workers) as pool:
            for _ in range(3):  # the first one warms up
                began = time.perf_counter()
                list(pool.map(lambda chunk: jax.block_until_ready(program(rows, chunk, shared)), chunks))
                seconds.append(time.perf_counter() - began)
        return sum(int(chunk.counts.sum()) for chunk in chunks) / min(seconds[1:])


def machine_for(
    caller: str,
    *,
    chunk_size: int | str | None = None,
    batch_size: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    workers: int | None = None,
    programs: Programs | None = None,
) -> Machine:
    """The machine that the arguments of `population_map`, which explains them, describe.

    Raises:
        ValueError, TypeError: an invalid argument; the message names it, and the caller.
    """
    for name, count in {"chunk_size": chunk_size, "batch_size": batch_size, "workers": workers}.items():
        if count is not None and not (name == "chunk_size" and count == "measure"):
            check_count(f"{caller}({name})", count, 1)
    if not isinstance(programs, Programs | None):
        raise TypeError(f"{caller}(programs) is {programs!r}, expected jn.search.Programs().")
    devices = jax.local_devices() if devices is None else devices
    chosen = tuple(devices) if isinstance(devices, Iterable) else ()
    if not all(isinstance(device, jax.Device) for device in chosen) or not chosen:
        raise ValueError(f"{caller}(devices) is {devices!r}, expected jax.local_devices(), or some of them.")
    one_cpu = chosen[0].platform == "cpu" and len(chosen) == 1
    return Machine(
        chosen, workers or (cores() if one_cpu else 1), chunk_size, batch_size,
        KEPT if programs is None else programs,
    )  # fmt: skip

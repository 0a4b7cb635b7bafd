"""The population engine: one training function over many members, on everything the host has.

`population_map(train, configs, keys)` means `jax.vmap(train)(configs, keys)`. How it is run differs:
members go in chunks through one compiled program, which maps over groups of a few members that are
vectorized together (small enough for the cache, large enough for the vector units).

- On a CPU host one worker thread per core takes chunks from a queue. Nothing has to be configured
  before JAX starts, and no core waits for another.
- On accelerators, or several JAX devices, each chunk is spread over a mesh with `jax.shard_map`.

Results reach the host as each chunk finishes, so what devices hold is bounded by the chunk, and what
`on_chunk` writes to disk is not lost. The last chunk is padded with copies of the last member, which
are thrown away: one compilation serves all chunks.

Members are independent: a diverged one stays alone, and chunks, threads and devices change no number
beyond float tolerance (none at all where `batch_size` is the same).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_notes.record import check_count
from jaxopt_notes.search.workers import cores, run_chunks
from jaxopt_notes.trees import Tree, path_name


class Report(NamedTuple):
    """How a population was run: the layout, and the seconds spent compiling and running."""

    members: int
    chunks: int
    chunk_size: int
    batch_size: int
    devices: tuple
    workers: int
    compile_seconds: float
    run_seconds: float


def population_map(
    train: Callable[..., Tree],
    configs: Tree,
    keys: jax.Array,
    *,
    shared: tuple = (),
    chunk_size: int | None = None,
    batch_size: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_chunk: Callable[[np.ndarray, Tree], None] | None = None,
    return_report: bool = False,
) -> Any:
    """Train every member of a population: `jax.vmap(train)` at the speed of the whole machine.

        results[i] = train(configs[i], keys[i], *shared)        for i = 0 … members − 1

    Arguments:
        train: any pure JAX function `train(config, key, *shared) -> pytree`, traced once.
        configs: any pytree of arrays with a leading axis of members; `None` leaves are allowed.
        keys: typed random keys [members], as `jax.random.split` of a `jax.random.key` makes them.
        shared: further arguments, the same for all members (the data): one copy on each device,
            where a closure would put them into the program as constants.
        chunk_size: members in one call of the program on one core or device, at most. By default 32
            on a CPU core (measured: larger ones leave the cache), 1024 on an accelerator.
        batch_size: members vectorized together. By default 8 on CPU, the whole chunk elsewhere.
        devices: JAX devices to use; by default all local ones.
        workers: threads that call the program; by default one per available core when there is one
            CPU device, else 1.
        progress: called in this thread as `progress(done, members)` after each chunk.
        on_chunk: called in this thread as `on_chunk(indices, results)` when a chunk has finished, in
            the order of finishing, with NumPy arrays. After Ctrl-C running chunks are still
            delivered; a delivery that it cut short is made once more.
        return_report: also return a `Report`.

    Returns:
        The results stacked along a leading axis of members, as NumPy arrays (typed keys stay JAX
        arrays); with `return_report` the pair `(results, report)`.

    Raises:
        ValueError: no members, or a leaf whose leading axis differs from that of `keys`.
        TypeError: `keys` are not typed. Whatever `train` raises.

    Example:
        >>> import jax.numpy as jnp
        >>> def train(config, key):
        ...     return config["scale"] * jnp.arange(3.0)
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> population_map(train, {"scale": np.array([1.0, 10.0])}, keys)
        array([[ 0.,  1.,  2.],
               [ 0., 10., 20.]], dtype=float32)

    Source: rows S1-42 and S1-47 of the notes: more computing power makes more guesses in parallel.

    Elsewhere: `jax.vmap` keeps all members in flight at once and leaves the cache; `lax.map` uses one core.
    """
    members = _check_members(configs, keys)
    for name, count in {"chunk_size": chunk_size, "batch_size": batch_size, "workers": workers}.items():
        if count is not None:
            check_count(f"population_map({name})", count, 1)
    chosen = tuple(jax.local_devices() if devices is None else devices)
    on_cpu = chosen[0].platform == "cpu"
    workers = workers or (cores() if on_cpu and len(chosen) == 1 else 1)
    chunk_size = chunk_size or (32 if on_cpu else 1024)
    batch_size = batch_size or (8 if on_cpu else chunk_size)
    share, batch = layout(members, max(workers, len(chosen)), chunk_size, batch_size)
    step = share * len(chosen)

    began = time.perf_counter()
    rows, treedef = jax.tree.flatten((configs, keys))
    program = _program(train, treedef, [_key_impl(row) for row in rows], batch)
    rows = [_as_numpy(row) for row in rows]
    call, shared = _compile(program, rows, shared, chosen, step)
    compiled = time.perf_counter()

    results, x64 = _Results(members), jax.config.read("jax_enable_x64")  # this thread's setting, for all

    def run(start: int) -> Tree:
        index = np.minimum(np.arange(start, start + step), members - 1)
        with jax.enable_x64(x64):
            return jax.block_until_ready(call([row[index] for row in rows], shared))

    def deliver(start: int, out: Tree) -> None:
        index = np.arange(start, min(start + step, members))
        chunk = results.put(index, out)
        if on_chunk is not None:
            on_chunk(index, chunk)
        if progress is not None:
            progress(int(results.finished.sum()), members)

    starts = range(0, members, step)
    run_chunks(run, starts, workers, deliver)
    report = Report(members, len(starts), step, batch, chosen, workers,
                    compiled - began, time.perf_counter() - compiled)  # fmt: skip
    return (results.tree(), report) if return_report else results.tree()


def layout(members: int, lanes: int, chunk_size: int, batch_size: int) -> tuple[int, int]:
    """How many members one lane (a core, a device) takes at a time, and vectorized in groups of how many.

    Few members are spread over all lanes; many go in rounds that fill them. The share is a multiple of
    the batch.

    Example:
        >>> layout(256, 2, 32, 8), layout(6, 2, 32, 8), layout(96, 2, 32, 8)
        ((32, 8), (3, 3), (24, 8))
    """
    batch = min(batch_size, chunk_size, -(-members // lanes))
    groups = -(-members // batch)
    rounds = -(-groups // (chunk_size // batch * lanes))
    return batch * -(-groups // (rounds * lanes)), batch


def _program(train: Callable, treedef: Any, impls: list, batch: int) -> Callable:
    """The function that is compiled: rows of a chunk in, results of its members out."""

    def member(row: list, shared: tuple) -> Tree:
        leaves = [
            x if impl is None else jax.random.wrap_key_data(x, impl=impl)
            for x, impl in zip(row, impls, strict=True)
        ]
        config, key = jax.tree.unflatten(treedef, leaves)
        return train(config, key, *shared)

    return lambda rows, shared: lax.map(lambda row: member(row, shared), rows, batch_size=batch)


def _compile(
    program: Callable, rows: list, shared: tuple, devices: tuple, step: int
) -> tuple[Callable, tuple]:
    """The program compiled for chunks of `step` members across `devices`, and `shared` placed on them."""
    mesh = Mesh(np.array(devices), ("members",))
    across, everywhere = PartitionSpec("members"), PartitionSpec()
    if len(devices) > 1:  # a scan may start from constants, which the check of varying axes forbids
        program = jax.shard_map(
            program, mesh=mesh, in_specs=(across, everywhere), out_specs=across, check_vma=False
        )
    shared = jax.device_put(shared, NamedSharding(mesh, everywhere))
    chunk = [jax.ShapeDtypeStruct((step, *row.shape[1:]), row.dtype) for row in rows]
    jitted = jax.jit(program, in_shardings=(NamedSharding(mesh, across), NamedSharding(mesh, everywhere)))
    return jitted.lower(chunk, shared).compile(), shared


class _Results:
    """The results of all members on the host, filled in chunk by chunk."""

    def __init__(self, members: int):
        self.finished = np.zeros(members, bool)
        self.columns: list[np.ndarray] | None = None

    def put(self, index: np.ndarray, out: Tree) -> Tree:
        """Keep the rows of one chunk without its padding, and return them as NumPy arrays."""
        leaves, self.treedef = jax.tree.flatten(out)
        self.impls = [_key_impl(leaf) for leaf in leaves]
        chunk = [_as_numpy(leaf)[: len(index)] for leaf in leaves]
        if self.columns is None:
            self.columns = [np.empty((len(self.finished), *leaf.shape[1:]), leaf.dtype) for leaf in chunk]
        for column, leaf in zip(self.columns, chunk, strict=True):
            column[index] = leaf
        self.finished[index] = True
        return jax.tree.unflatten(self.treedef, chunk)

    def tree(self) -> Tree:
        columns = [
            column if impl is None else jax.random.wrap_key_data(jnp.asarray(column), impl=impl)
            for column, impl in zip(self.columns or [], self.impls, strict=True)
        ]
        return jax.tree.unflatten(self.treedef, columns)


def _check_members(configs: Tree, keys: Any) -> int:
    if not _is_key(keys) or keys.ndim == 0:
        found = f"{getattr(keys, 'dtype', type(keys).__name__)}{list(np.shape(keys))}"
        raise TypeError(
            f"population_map(keys) is {found}, expected typed keys, one for each member: "
            "jax.random.split(jax.random.key(0), members)."
        )
    members = len(keys)
    if members == 0:
        raise ValueError("population_map(keys) is empty, expected at least one member.")
    for path, leaf in jax.tree.leaves_with_path(configs):
        shape = np.shape(leaf)
        if shape[:1] != (members,):
            found = f"a leading axis of {shape[0]}" if shape else "no leading axis"
            raise ValueError(
                f"population_map(configs): {path_name(path) or 'the array'} has {found} and keys one of "
                f"{members}, expected one row for each member: shared= passes a value to all of them."
            )
    return members


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _key_impl(leaf: Any) -> Any:
    return jax.random.key_impl(leaf) if _is_key(leaf) else None


def _as_numpy(leaf: Any) -> np.ndarray:
    """The leaf on the host, in the dtype that JAX gives it; typed keys as their words."""
    array = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)

"""The population engine: one training function over many members, on everything there is.

`population_map(train, configs, keys)` means `jax.vmap(train)(configs, keys)`. How it is run differs:
members go in chunks through one compiled program, which loops over groups of a few members that are
vectorized together (small enough for the cache, large enough for the vector units).

- On a CPU host one worker thread per core takes chunks from a queue. Nothing has to be configured
  before JAX starts, and no core waits for another.
- On accelerators, or several JAX devices, each chunk is spread over a mesh with `jax.shard_map`.
- In a `jax.distributed` job each process trains its share, and all of them get all results.

Results reach the host as each chunk finishes, so what devices hold is bounded by the chunk; with a
folder they are on disk then, and the same call goes on where a killed one was. An accelerator gets the next
chunk before one is fetched, so that it never waits, and never more than these two. Compiled programs are kept
(`program_cache.py`).

Members are independent: a diverged one stays alone, and chunks, threads, devices and hosts change no
number beyond float tolerance (none at all where `batch_size` is the same).
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree, cast_and_fits
from jaxopt_notes.masks import path_name
from jaxopt_notes.population import fingerprint, hosts
from jaxopt_notes.population.chunk_program import Rows, is_key
from jaxopt_notes.population.execution import Hooks, Population, run_population
from jaxopt_notes.population.keys import members_keys
from jaxopt_notes.population.machine import machine_for
from jaxopt_notes.population.program_cache import Programs
from jaxopt_notes.population.progress import Progress, check_progress, reporting
from jaxopt_notes.population.store import Store, check_folder
from jaxopt_notes.record import check_choice, check_takes
from jaxopt_notes.tracing import WHILE_TRACED, missing_name, needed_values


def population_map(
    train: Callable[..., Tree],
    configs: Tree,
    keys: jax.Array,
    *,
    shared: tuple = (),
    chunk_size: int | str | None = None,
    batch_size: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    workers: int | None = None,
    programs: Programs | None = None,
    folder: str | os.PathLike | None = None,
    progress: Progress = None,
    on_compile: Callable[[str], None] | None = None,
    on_chunk: Callable[[np.ndarray, Tree], None] | None = None,
    return_report: bool = False,
) -> Any:
    """Train every member of a population: `jax.vmap(train)` at the speed of the whole machine.

        results[i] = train(configs[i], keys[i], *shared)        for i = 0 … members − 1

    Arguments:
        train: any pure JAX function `train(config, key, *shared) -> pytree`, traced once.
        configs: any pytree of arrays with a leading axis of members; `None` leaves are allowed.
        keys: typed random keys [members], as `jax.random.split` of a `jax.random.key` makes them. Keys of
            "rbg", whose numbers under `vmap` depend on the batch, become those of threefry, with a warning.
        shared: further arguments, the same for all members (the data): one copy on each device,
            where a closure would put them into the program as constants.
        chunk_size: members in one call of the program on one core or device, at most. By default 32
            on a CPU core (measured: larger ones leave the cache; more of members that work on less than
            32 kB), on an accelerator as many as its memory holds by the compiled program's own figure, and
            with a folder at most 1024, so that it has something before all is done. "measure" tries a
            few sizes on the members themselves and takes the fastest, once for a program.
        batch_size: members vectorized together. By default as many, up to 8, as work on 1.5 MB at a time
            on CPU (read from the trace; measured to be good; up to 64 of many that work on little), the whole
            chunk elsewhere.
        devices: JAX devices to use; by default all local ones.
        workers: threads that call the program; by default one per available core when there is one
            CPU device, else 1.
        programs: where compiled programs are kept; by default the library's own store of 16, by the
            function (the same object), shapes and layout.
        folder: where finished chunks are kept until `population_map` is called again with the same
            arguments; then only the others are trained. In a job of several processes one that all see.
        progress: a function, called in this thread as `progress(done, members)` after each chunk; True for
            a bar (with tqdm); False or None for nothing.
        on_compile: called as `on_compile(text)` before something is compiled.
        on_chunk: called in this thread as `on_chunk(indices, results)` when a chunk has finished, in
            the order of finishing, with NumPy arrays. Chunks from the folder come first. After Ctrl-C
            running chunks are still delivered; a delivery that it cut short is made once more. In a job
            of several processes each sees its own.
        return_report: also return a `Report`.

    Returns:
        The results stacked along a leading axis of members, as NumPy arrays (typed keys stay JAX
        arrays); with `return_report` the pair `(results, report)`.

    Raises:
        ValueError: no members, a leaf whose leading axis differs from that of `keys`, or a folder that
            holds another run. BlockingIOError: another process is at work in the folder. MemoryError:
            it would not fit. TypeError: `keys` are not typed, or `train` needs the value of an argument while
            it is traced. Whatever `train` raises.

    Example:
        >>> import jax.numpy as jnp
        >>> def train(config, key):
        ...     return config["scale"] * jnp.arange(3.0)
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> population_map(train, {"scale": np.array([1.0, 10.0])}, keys)
        array([[ 0.,  1.,  2.],
               [ 0., 10., 20.]], dtype=float32)

    Source: Bergstra & Bengio 2012, section 5: more computing power makes more guesses in parallel.

    Elsewhere: `jax.vmap` keeps all members in flight at once and leaves the cache; `lax.map` uses one core.
    """
    members = _check_members(configs, keys)
    _check_arguments(train, shared, folder, on_compile, on_chunk)
    _check_numbers("configs", configs)
    _check_numbers("shared", shared)
    check_progress("population_map(progress)", progress)
    check_choice("population_map(return_report)", return_report, (False, True))
    configs, keys = members_keys("population_map(configs, keys)", (configs, keys))
    machine = machine_for(
        "population_map", chunk_size=chunk_size, batch_size=batch_size, devices=devices, workers=workers,
        programs=programs,
    )  # fmt: skip
    population = Population(train, Rows.of(configs, keys), tuple(shared))
    with contextlib.ExitStack() as stack:
        hooks = Hooks(on_compile, on_chunk, stack.enter_context(reporting(progress, members)))
        shelf = None
        if folder is not None:
            settings = {
                "train": fingerprint.of_function(train), "members": str(members),
                "configs": fingerprint.of_tree(configs), "keys": fingerprint.of_tree(keys),
                "shared": fingerprint.of_tree(shared), **fingerprint.library(),
            }  # fmt: skip
            store = stack.enter_context(Store(folder, settings, hosts.is_leader()))
            hosts.meet("population_map")
            shelf = store.shelf("members")
        try:
            results, report = run_population(population, machine, hooks, shelf)
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # as tracing raises them
            if (explained := _explain(population)) is not None:
                raise explained from error
            raise
    return (results, report) if return_report else results


def _check_arguments(train: Any, shared: Any, folder: Any, on_compile: Any, on_chunk: Any) -> None:
    """Refuse, before anything is trained, what would fail afterwards."""
    if not isinstance(shared, tuple | list):
        raise TypeError(
            f"population_map(shared) is a {type(shared).__name__}, expected a tuple of what all members "
            "share: shared=(x,) for one."
        )
    check_takes("population_map(train)", train, 2 + len(shared), "train(config, key, *shared)")
    for name, function, takes in (
        ("on_compile", on_compile, ("text",)), ("on_chunk", on_chunk, ("indices", "results")),
    ):  # fmt: skip
        if function is not None:
            called_as = f"{name}({', '.join(takes)})"
            check_takes(f"population_map({name})", function, len(takes), called_as)
    check_folder("population_map(folder)", folder)


def _explain(population: Population) -> Exception | None:
    """The error to raise instead of the one that tracing raises; `None` if there is nothing to add."""
    rows, shared = population.rows, population.shared
    config, key = rows.member([array[0] for array in rows.arrays])
    trees = {"config": config, **{f"shared[{i}]": tree for i, tree in enumerate(shared)}}
    leaves, treedef = jax.tree.flatten(trees)
    names = [_spelled(path) for path, _ in jax.tree.leaves_with_path(trees)]

    def train(values: dict[str, Any], key: jax.Array) -> Tree:
        trees = jax.tree.unflatten(treedef, [values[name] for name in names])
        return population.train(trees["config"], key, *list(trees.values())[1:])

    def of_config(config: Tree) -> Tree:
        return jax.eval_shape(lambda key, *shared: population.train(config, key, *shared), key, *shared)

    if (missing := missing_name(of_config, config, "config")) is not None:
        return ValueError(f"population_map(train) reads {missing}")
    known = dict(zip(names, leaves, strict=True))
    if not (needed := needed_values(train, known, key)):
        return None
    text = f"population_map(train) needs the value of {' and '.join(needed)} {WHILE_TRACED}; but "
    if needed[0].startswith("shared"):
        return TypeError(
            f"{text}shared arguments are data. What the structure depends on belongs into the function: "
            "functools.partial(train, …), or a closure."
        )
    return TypeError(
        f"{text}members differ in it, and one program serves them all. Choose between numbers with "
        "jnp.where(condition, a, b), between computations with jax.lax.cond; a shape, or a number of layers, "
        "needs a call of population_map for each value, as jn.sweep makes them for jn.static_choice([…])."
    )


def _spelled(path: tuple) -> str:
    """The path of a leaf as one writes it: config['rate']."""
    return path[0].key + jax.tree_util.keystr(path[1:])


def _check_members(configs: Tree, keys: Any) -> int:
    if not (isinstance(keys, jax.Array) and is_key(keys)) or keys.ndim == 0:
        found = f"{getattr(keys, 'dtype', type(keys).__name__)}{list(np.shape(keys))}"
        raise TypeError(
            f"population_map(keys) is {found}, expected typed keys, one for each member: "
            "jax.random.split(jax.random.key(0), members)."
        )
    members = len(keys)
    if members == 0:
        raise ValueError("population_map(keys) is empty, expected at least one member.")
    _check_rows(configs)
    for path, leaf in jax.tree.leaves_with_path(configs):
        shape = np.shape(leaf)
        if shape[:1] != (members,):
            found = f"a leading axis of {shape[0]}" if shape else "no leading axis"
            raise ValueError(
                f"population_map(configs): {path_name(path) or 'the array'} has {found} and keys one of "
                f"{members}, expected one row for each member: shared= passes a value to all of them."
            )
    return members


def _check_numbers(argument: str, tree: Tree) -> None:
    """Refuse numbers that the dtype JAX gives them cannot hold: 2⁴⁰ would become 0, and 1e300 infinite."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        if not isinstance(leaf, np.ndarray | np.generic):
            continue
        if leaf.dtype.kind in "USOMm":
            raise TypeError(
                f"population_map({argument}): {path_name(path) or 'the array'} is an array of {leaf.dtype}, "
                "expected numbers: the positions of values in a list, np.arange(len(values)), say which."
            )
        if leaf.dtype.kind not in "iuf":
            continue
        kind = jax.dtypes.canonicalize_dtype(leaf.dtype)
        if kind == leaf.dtype:
            continue
        _, fits = cast_and_fits(leaf, kind, rounded=kind.kind == "f")
        if not fits.all():
            raise ValueError(
                f"population_map({argument}): {path_name(path) or 'the array'} holds "
                f"{np.asarray(leaf)[~fits].flat[0]} as {leaf.dtype}, which JAX makes {kind}, where it does "
                'not fit: choose numbers in its range, or jax.config.update("jax_enable_x64", True).'
            )


def _check_rows(configs: Tree) -> None:
    """Refuse rows as Python lists, which JAX takes for structure, and say how they become arrays."""
    if isinstance(configs, list) and configs and all(isinstance(one, dict | tuple) for one in configs):
        raise TypeError(
            f"population_map(configs) is a list of {len(configs)} configurations, expected one whose leaves "
            "are arrays with a row for each member: jax.tree.map(lambda *rows: np.stack(rows), *configs)."
        )
    for path, leaf in jax.tree.leaves_with_path(configs, is_leaf=lambda leaf: isinstance(leaf, list)):
        if isinstance(leaf, list) and all(np.ndim(value) == 0 for value in leaf):
            name = path_name(path) or "it"
            raise TypeError(
                f"population_map(configs): {name} is a list, expected an array with a row for each member: "
                f"np.array([{', '.join(map(repr, leaf[:3]))}{', …' if len(leaf) > 3 else ''}])."
            )

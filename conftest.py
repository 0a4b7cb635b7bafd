"""How tests run: two tiers, every core, the strictest JAX, and programs that are compiled once and cheaply.

`python -m pytest` runs the quick tier, `python -m pytest --full` everything. The marker `full` takes a test
out of the quick tier, unless it is named by its node id. The docstrings' examples belong to the full tier,
unless their file is named.
"""

import collections
import contextlib
import dataclasses
import functools
import gc
import hashlib
import importlib
import itertools
import os
import pathlib
import sys
import threading
import time

import jax
import jax.interpreters.mlir
import jax.stages
import pytest

from jaxopt_notes.cli.kept_programs import processor

ROOT = pathlib.Path(__file__).parent

# Tests compile thousands of small programs and run each a few times, so the quick tier takes the cheapest
# code: next to no optimization, and the code generator before jax 0.10's, which takes half the time (jax 0.11
# has no switch for it). XLA reads the flags once; other processes generate code as users' do.
# It also cuts each program into as many as 32 parts, one for each core it might have: for programs as small
# as these that is a third of the time, and the cores have workers of their own. The parts' code is the same.
WHOLE = ["--xla_cpu_parallel_codegen_split_count=1"]
CHEAP_CODE = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
OLD_GENERATOR = jax.__version_info__ < (0, 11)
if OLD_GENERATOR:
    CHEAP_CODE.append("--xla_cpu_use_fusion_emitters=false")


# Options and defaults


def pytest_addoption(parser):
    parser.addoption(
        "--full", action="store_true", help="all tests, with the code generation that users have"
    )
    parser.addoption(
        "--costs", type=int, nargs="?", const=100, default=0, metavar="N",
        help="the N tests (100) that take most CPU seconds, and how many programs they lower",
    )  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """A worker on every core, if there is a folder to share and nobody said otherwise (`-n 0`)."""
    options = config.option
    if not config.pluginmanager.hasplugin("xdist") or hasattr(config, "workerinput"):
        return
    alone = options.collectonly or options.usepdb or options.dist != "no" or options.tx
    if options.numprocesses is None and not alone and any(os.path.isdir(name) for name in config.args):
        options.numprocesses = "auto"
    if options.numprocesses and options.dist == "no":
        options.dist = "worksteal"  # neighbours, which share programs, stay together


def pytest_configure(config):
    # What is traced and compiled is no garbage, and looking for some takes a tenth of the time.
    gc.set_threshold(100_000, 20, 20)
    cheap = [] if config.option.full else CHEAP_CODE
    own = os.environ.get("XLA_FLAGS")
    flags = " ".join([*WHOLE, *cheap, own or ""])  # the user's own come last, and win
    os.environ["XLA_FLAGS"] = flags
    jax.devices()
    if own is None:
        del os.environ["XLA_FLAGS"]
    else:
        os.environ["XLA_FLAGS"] = own

    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    if jax.default_backend() != "cpu":  # references are exact; TF32 and bfloat16 passes are not
        jax.config.update("jax_default_matmul_precision", "highest")
    # Compiled programs are kept, and shared by the workers: for this version, these flags and this processor
    # (another one could not run the instructions).
    jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax" / machine(flags)))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    share_contexts()


def machine(flags):
    """A name for what compiled code depends on."""
    versions = [jax.__version__, jax.lib.__version__, jax.default_backend()]
    return hashlib.sha256("\n".join([*versions, flags, processor()]).encode()).hexdigest()[:16]


def share_contexts(programs=200):
    """Lower so many programs in one MLIR context, which JAX makes anew, and keeps, for each.

    Of a small program that is a fifth of the time and two thirds of the memory. What is lowered is the same;
    contexts intern constants, so none lives forever. Where JAX has no such function, nothing is changed.
    """
    make = getattr(jax.interpreters.mlir, "make_ir_context", None)
    if make is None or not hasattr(make, "__module__"):
        return
    of_thread = threading.local()

    def make_ir_context():
        made = getattr(of_thread, "made", 0)
        if made % programs == 0:
            of_thread.context = make()
        of_thread.made = made + 1
        return of_thread.context

    setattr(sys.modules[make.__module__], make.__name__, make_ir_context)


# What is run


def pytest_collect_file(file_path):
    """Import a module of the package as users do.

    Pytest's own import would put the module in place of a function of its name (`search.sweep`).
    """
    if (
        file_path.suffix == ".py"
        and file_path.stem != "__main__"
        and file_path.is_relative_to(ROOT / "jaxopt_notes")
    ):
        names = file_path.relative_to(ROOT).with_suffix("").parts
        with contextlib.suppress(ImportError):
            importlib.import_module(".".join(names[:-1] if names[-1] == "__init__" else names))


@pytest.hookimpl(tryfirst=True)  # before `-m` is applied
def pytest_collection_modifyitems(config, items):
    named = {pathlib.Path(name).resolve() for name in config.args}
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(
                f"{item.nodeid}: an address differs from process to process, give it an id."
            )
        if isinstance(item, pytest.DoctestItem) and item.path not in named:
            item.add_marker("full")
    if config.option.full or any("::" in name for name in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("full")]


# CPU seconds: unlike durations, they tell what a test costs also on a machine that is busy. Most of them are
# for programs, a few milliseconds for each to trace, lower and compile, however small.


@dataclasses.dataclass
class Meter:
    seconds: float = 0.0
    programs: int = 0

    def read(self):
        return Meter(time.process_time(), self.programs)


meter = Meter()
seen = meter.read()


def pytest_sessionstart():
    def count(event, duration, **_):
        meter.programs += event.endswith("jaxpr_to_mlir_module_duration")

    jax.monitoring.register_event_duration_secs_listener(count)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    global seen
    report = yield
    now = meter.read()
    report.cost = now.seconds - seen.seconds, now.programs - seen.programs
    seen = now
    return report


def pytest_terminal_summary(terminalreporter, config):
    if not config.option.costs:
        return
    costs = collections.defaultdict(lambda: (0.0, 0))
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if hasattr(report, "cost"):
            seconds, programs = costs[name := report.nodeid.split("[")[0]]
            costs[name] = seconds + report.cost[0], programs + report.cost[1]
    seconds, programs = (sum(column) for column in zip((0.0, 0), *costs.values(), strict=True))
    terminalreporter.section(f"{seconds:.0f} CPU seconds and {programs} programs in tests")
    most = sorted(costs.items(), key=lambda item: item[1], reverse=True)
    for name, (seconds, programs) in most[: config.option.costs]:
        terminalreporter.write_line(f"{seconds:7.1f} {programs:6} {name}")


# Memory

ran = itertools.count(1)
memory_limit = 0


def pytest_runtest_teardown():
    """Thousands of compiled programs are gigabytes: let them go when they are, and not before.

    To let them go takes some twenty seconds, and what is used again is compiled again: not before a worker's
    share of two thirds of the machine's memory is full, or one third without workers; 6 GiB at most, since a
    container may have less than its machine.
    """
    global memory_limit
    if next(ran) % 50 == 0 and resident() > max(memory_limit, share_of_memory()):
        jax.clear_caches()
        gc.collect()
        memory_limit = resident() + 2**30  # not all of it goes back to the system


def share_of_memory():
    """Bytes that a process may take, from 3 to 6 GiB."""
    workers = max(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)), 2)
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        memory = 0
    return min(max(3 * 2**30, memory * 2 // 3 // workers), 6 * 2**30)


def resident():
    """Bytes of memory of this process; where that is unknown, more than any limit."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 2**62
    return pages * os.sysconf("SC_PAGE_SIZE")


# Fixtures


@pytest.fixture
def on_cpu():
    """For tests of what XLA's CPU backend does: skipped where another one is the default."""
    if jax.default_backend() != "cpu":
        pytest.skip("what is counted is XLA's CPU backend's")


@pytest.fixture
def compiled_as_for_users(on_cpu, monkeypatch):
    """What is compiled explicitly has the code that users' programs have: for tests that read it."""
    options = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
    if OLD_GENERATOR:
        options["xla_cpu_use_fusion_emitters"] = True
    compile_ = functools.partialmethod(jax.stages.Lowered.compile, compiler_options=options)
    monkeypatch.setattr(jax.stages.Lowered, "compile", compile_)


@pytest.fixture
def x64():
    """Run a test in float64, as the goldens do."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)

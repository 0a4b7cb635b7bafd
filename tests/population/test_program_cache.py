"""Compiled programs: used again, let go of, in place, no member computed that is none; memory and sizes."""

import collections
import gc
import re
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes as jn
from jaxopt_notes.population import execution as running_module
from jaxopt_notes.population import machine
from jaxopt_notes.population.layout import Layout, deal, slots
from jaxopt_notes.population.memory import available, check_memory
from jaxopt_notes.population.population_map import population_map
from jaxopt_notes.population.program_cache import Programs, kept_for
from jaxopt_notes.population.workers import cores

KEYS = jax.random.split(jax.random.key(0), 20)
CONFIGS = np.arange(20, dtype=np.float32)
X = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
DATA = (X, 2 * X), (X, 2 * X)


def counted():
    traces = []

    def train(config, key, x=1.0):
        traces.append(1)
        return config * x

    return train, traces


@pytest.mark.usefixtures("on_cpu")
def test_a_second_call_compiles_nothing_and_a_compilation_is_announced():
    train, traces = counted()
    said = []
    reports = [
        population_map(train, CONFIGS[:n], KEYS[:n], chunk_size=4, workers=2, return_report=True,
                       on_compile=lambda text: said.append((text, len(traces))))[1]
        for n in (20, 20, 19, 16)
    ]  # fmt: skip
    assert len(traces) == 1  # the layout is the same for all
    assert [report.compile_seconds > 0 for report in reports] == [True, False, False, False]
    assert said == [("compiling for 20 members, 4 in a chunk, 4 in a group", 1)]


@pytest.mark.usefixtures("on_cpu")
def test_other_shapes_layouts_and_settings_compile_anew():
    train, traces = counted()
    population_map(train, CONFIGS, KEYS)
    for change in ({"batch_size": 2}, {"shared": (2.0,)}, {"shared": (jnp.ones(3),)}, {"workers": 1}):
        before = len(traces)
        population_map(train, CONFIGS, KEYS, **change)
        assert len(traces) == before + 1, change
    with jax.enable_x64(True):
        assert population_map(train, CONFIGS.astype(float), KEYS).dtype == np.float64
    assert population_map(train, CONFIGS.astype(float), KEYS).dtype == np.float32


def test_programs_keep_no_function_alive_and_are_bounded():
    programs, train = Programs(2), counted()[0]
    for batch in (1, 2, 3, 4):
        population_map(train, CONFIGS, KEYS, batch_size=batch, programs=programs)
    assert len(programs) == 2
    alive = weakref.ref(train)
    del train
    gc.collect()
    assert alive() is None
    assert len(programs) == 0


def test_a_second_sweep_compiles_nothing_unless_what_it_builds_has_changed():
    width, built = 3, collections.deque()  # a list would be part of what `build` says

    def build(h):
        built.append(width)
        return jn.Trainer(
            jn.mlp([width, 1]), jn.sgd(h["rate"]), jn.mean_squared_error, batch_size=4, metric=None
        )

    def run(space, epochs=2, **options):
        return jn.sweep(build, space, DATA, jn.random_search(5), epochs=epochs, key=jax.random.key(0),
                        progress=False, **options)  # fmt: skip

    first = run({"rate": jn.log_uniform(1e-3, 1e-1)})
    assert sum(report.compile_seconds for report in first.reports) > 0
    calls = len(built)
    again = run({"rate": jn.log_uniform(1e-3, 1e-1)})
    other = run({"rate": jn.uniform(0.01, 0.02)})
    assert len(built) == calls
    assert sum(report.compile_seconds for results in (again, other) for report in results.reports) == 0
    np.testing.assert_array_equal(first.scores, again.scores)
    assert not np.array_equal(first.scores, other.scores)
    width = 4  # jax.jit would not see it
    wider = run({"rate": jn.log_uniform(1e-3, 1e-1)})
    assert built[-1] == 4
    assert not np.array_equal(first.scores, wider.scores)
    for change in ({"epochs": 3}, {"programs": Programs()}):
        calls = len(built)
        run({"rate": jn.log_uniform(1e-3, 1e-1)}, **change)
        assert len(built) > calls, change


def test_a_sweep_keeps_its_function_no_longer_than_others_do():
    def build(h):
        return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None)

    jn.sweep(build, {"rate": jn.uniform(0.01, 0.1)}, DATA, jn.random_search(2), epochs=1,
             key=jax.random.key(0), progress=False)  # fmt: skip
    kept, alive = weakref.ref(kept_for(build)), weakref.ref(build)
    assert len(kept()) == 1
    del build
    gc.collect()
    assert alive() is None
    assert kept() is None


def test_states_are_updated_in_place():
    def advance(member, key):
        config, state = member
        return {"state": jax.tree.map(lambda w: w + config, state), "score": config}

    programs = Programs()
    state = {"w": np.zeros((20, 50), np.float32), "m": np.ones((20, 50), np.float32)}
    out = population_map(advance, (CONFIGS, state), KEYS, chunk_size=4, programs=programs)
    np.testing.assert_array_equal(out["state"]["m"], 1 + np.tile(CONFIGS[:, None], 50))
    np.testing.assert_array_equal(state["w"], 0)  # the caller's are left alone
    (program,) = programs._kept.values()
    assert program.compiled.memory_analysis().alias_size_in_bytes >= 2 * 4 * 50 * 4


@pytest.mark.skipif(cores() < 2, reason="on one core XLA divides nothing")
def test_where_every_core_has_chunks_no_program_is_divided_among_threads():
    def train(config, key):
        return lax.fori_loop(0, 3, lambda i, x: jnp.sin(jnp.exp(x) * config), jnp.zeros((512, 640)))[0, 0]

    def divided(members, workers):
        programs = Programs()
        population_map(train, CONFIGS[:members], KEYS[:members], workers=workers, programs=programs)
        (program,) = programs._kept.values()
        return len(re.findall(r'outer_dimension_partitions":\["', program.compiled.as_text()))

    assert divided(4, None) == 0
    assert divided(4, 1) >= 1  # one worker: the other cores are free
    assert divided(1, None) >= 1  # one member: likewise


def test_members_that_are_none_are_not_computed():
    seen = []

    def look(x):
        seen.append(float(x))
        return x

    def train(config, key):
        return jax.pure_callback(look, jax.ShapeDtypeStruct((), np.float32), config, vmap_method="sequential")

    got = population_map(train, CONFIGS[:9], KEYS[:9], chunk_size=8, batch_size=2, workers=1)
    np.testing.assert_array_equal(got, CONFIGS[:9])
    assert len(seen) == 10  # 9 in groups of 2: one copy, where whole chunks of 8 would have made 7


def test_slots_are_dealt_evenly_to_devices_and_lanes():
    where = Layout(share=8, batch=2, devices=(0, 1, 2), workers=1)
    chunk = slots(np.arange(4), 7, where)
    assert chunk.groups.tolist() == [2, 2, 0]
    assert chunk.member[chunk.counts].tolist() == list(range(7))
    one = Layout(share=32, batch=8, devices=(0,), workers=2)
    assert [len(chunk) for chunk in deal(range(17), one)] == [3, 3, 3, 3, 3, 2]  # 3 rounds
    assert [len(chunk) for chunk in deal(range(10), one)] == [
        3,
        3,
        2,
        2,
    ]  # 5 groups for either lane, not 6 and 4
    assert [chunk.tolist() for chunk in deal([4, 7], one)] == [[4], [7]]


def test_too_much_memory_is_said_before_the_start(monkeypatch):
    calls = []

    def train(config, key):
        jax.debug.callback(lambda: calls.append(1))
        return jnp.full((1000, 1000), config)

    monkeypatch.setattr(running_module, "available", lambda device: 50_000_000)
    with pytest.raises(MemoryError, match=r"needs about .* of results.* 47.7 MiB are free"):
        population_map(train, CONFIGS, KEYS)
    assert calls == []
    _, report = population_map(train, CONFIGS[:2], KEYS[:2], chunk_size=1, workers=1, return_report=True)
    assert report.host_bytes == 8_000_000
    assert 4_000_000 <= report.device_bytes < 16_000_000


def test_the_estimate_names_a_size_that_fits():
    where = Layout(share=64, batch=8, devices=(), workers=2)
    assert check_memory(100, 50, where, 1000, 1000) == (200, 50)
    with pytest.raises(MemoryError, match=r"needs about 2.93 KiB \(2 lanes x 1000 B for 64 .*chunk_size=32 "):
        check_memory(1000, 1000, where, 2000, 2000)
    with pytest.raises(MemoryError, match="not even one member"):
        check_memory(1000, 3000, where, 2000, 2000)
    free = available(jax.devices()[0])
    assert free is None or 0 < free < 2**50


@pytest.mark.usefixtures("on_cpu")
def test_sizes_are_measured_once(monkeypatch):
    train, programs = counted()[0], Programs()
    tried = []
    rate = machine.Machine._rate

    def watched(self, members, sizes, program_for):
        assert rate(self, members, sizes, program_for) > 0
        tried.append(sizes)
        return float(sizes == (32, 4))

    monkeypatch.setattr(machine.Machine, "_rate", watched)
    for _ in range(2):
        got, report = population_map(
            train, CONFIGS, KEYS, chunk_size="measure", programs=programs, return_report=True
        )
        np.testing.assert_array_equal(got, CONFIGS)
        assert report.batch_size == 4
    assert tried == [(32, 1), (32, 4), (32, 8), (32, 16)]


def test_what_was_used_last_is_kept_longest():
    def train():
        pass

    programs, made = Programs(2), []

    def get(key):
        return programs.get(train, key, lambda: made.append(key) or key)

    assert [get(key)[1] for key in "abacab"] == [True, True, False, True, False, True]
    assert made == ["a", "b", "c", "b"]  # c made room for b: a had been used again


def test_dtypes_of_the_same_size_are_other_programs():
    """NumPy writes int4 and float8_e3m4 alike: `dtype.str` is "<V1" for both."""

    def train(config, key):
        return config.astype(jnp.float32) / 2

    for dtype in (jnp.int4, jnp.float8_e3m4):
        halves = population_map(train, np.arange(4).astype(dtype), KEYS[:4])
        assert halves.tolist() == [0, 0.5, 1, 1.5]

"""What a chunk costs beside its program, counted, with the CPU in the place of an accelerator."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.population import Programs, machine, population_map
from jaxopt_notes.population.chunk_program import Program
from jaxopt_notes.population.layout import Layout, following, slots
from jaxopt_notes.population.memory import check_memory

KEYS = jax.random.split(jax.random.key(0), 24)
CONFIGS = np.arange(24, dtype=np.float32)


def train(config, key, x):
    return config * x, jax.random.key_data(key)


@pytest.fixture
def accelerator(monkeypatch):
    """One device that is no CPU to the engine, and all programs made for it."""
    made, wanted = [], Program.__init__

    def init(self, *arguments):
        wanted(self, *arguments)
        made.append(self)

    monkeypatch.setattr(Program, "__init__", init)
    monkeypatch.setattr(Layout, "on_cpu", property(lambda layout: False))
    monkeypatch.setattr(machine, "available", lambda device: None)
    return made


def run(**options):
    given = {"workers": 1, "programs": Programs(), "return_report": True}
    return population_map(train, CONFIGS, KEYS, shared=(jnp.ones(1000),), **given | options)


def test_all_members_are_one_call_without_a_gather_or_a_loop(accelerator, monkeypatch):
    calls, fetches = [], []
    called, fetched = Program.__call__, jax.device_get
    monkeypatch.setattr(Program, "__call__", lambda *a: calls.append(1) or called(*a))
    monkeypatch.setattr(jax, "device_get", lambda out: fetches.append(1) or fetched(out))
    (scaled, _), report = run()
    np.testing.assert_array_equal(scaled, CONFIGS[:, None] * np.ones(1000))
    assert (len(calls), len(fetches), report.chunks, report.batch_size) == (1, 1, 1, 24)
    text = accelerator[0].compiled.as_text()
    assert " while(" not in text
    assert " gather(" not in text
    assert " dynamic-slice(" not in text


def test_chunks_are_as_large_as_the_memory_allows_by_the_program_s_own_figure(accelerator, monkeypatch):
    _, whole = run()
    monkeypatch.setattr(machine, "available", lambda device: whole.device_bytes // 2)
    (scaled, _), report = run()
    np.testing.assert_array_equal(scaled, CONFIGS[:, None] * np.ones(1000))
    assert len(accelerator) < 6
    assert 1 < report.chunks < 12
    assert report.device_bytes <= whole.device_bytes // 2  # of the two calls that are there at a time


def test_a_program_that_the_compiler_refuses_is_halved(accelerator, monkeypatch):
    made = Program.__init__

    def init(self, member, layout):
        if layout.share > 8:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm.")
        made(self, member, layout)

    monkeypatch.setattr(Program, "__init__", init)
    assert run()[1].chunk_size == 6


def test_the_next_chunk_is_launched_before_one_is_fetched_and_no_more(accelerator, monkeypatch):
    second, lock, flying, most = threading.Event(), threading.Lock(), [], []
    called, fetched = Program.__call__, jax.device_get

    def launch(self, *arguments):
        with lock:
            flying.append(1)
            most.append(len(flying))
            if len(most) > 1:
                second.set()
        return called(self, *arguments)

    def fetch(out):
        assert second.wait(60)  # it would wait for ever if the first were fetched before the second began
        with lock:
            flying.pop()
        return fetched(out)

    monkeypatch.setattr(Program, "__call__", launch)
    monkeypatch.setattr(jax, "device_get", fetch)
    (scaled, _), report = run(chunk_size=4)
    np.testing.assert_array_equal(scaled, CONFIGS[:, None] * np.ones(1000))
    assert report.chunks == 6
    assert max(most) == 2


def test_a_folder_has_something_before_all_is_done(accelerator, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxopt_notes.population.execution.KEPT_CHUNK", 6)
    _, report = run(folder=tmp_path)
    assert report.chunks == 4
    assert len(list(tmp_path.glob("members-*.part"))) == 4


def test_rows_that_follow_one_another_are_no_copy():
    layout = Layout(share=8, batch=4, devices=(), workers=1)._replace(devices=("one",))
    whole, last = slots(np.array([2, 3]), 16, layout), slots(np.array([3]), 15, layout)
    rows = np.arange(16.0)
    assert np.shares_memory(whole.rows(rows), rows)
    np.testing.assert_array_equal(whole.rows(rows), np.arange(8.0, 16.0))
    np.testing.assert_array_equal(last.rows(rows)[:4], [12, 13, 14, 14])
    np.testing.assert_array_equal(last.results(last.member), [12, 13, 14])
    assert following(np.array([3, 4, 5])) == slice(3, 6)
    np.testing.assert_array_equal(rows[following(np.array([3, 5]))], [3, 5])


def test_memory_counts_what_is_there_at_a_time(accelerator):
    layout = Layout(share=8, batch=8, devices=("gpu",), workers=1)
    assert check_memory(100, 50, layout, 200, None, calls=2) == (200, 50)
    with pytest.raises(MemoryError, match=r"8 members on each device, 2 x 100 B.*chunk_size=7 "):
        check_memory(100, 50, layout, 180, None, calls=2)

"""A folder of parts: whole or not there, damaged or another run's, one process at a time."""

import errno
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.population import fingerprint
from jaxopt_notes.population.packing import pack, unpack
from jaxopt_notes.population.population_map import population_map
from jaxopt_notes.population.store import Store

SETTINGS = {"epochs": "3", "space rate": "uniform(low=0, high=1)"}


def test_what_is_written_is_read():
    with jax.enable_x64(True):
        wide = jax.numpy.arange(3.0)
    tree = {"a": 3, "b": True, "c": np.float32(2), "d": wide, "e": jax.random.key(1, impl="rbg"), "f": 0.1}
    a, b, c, d, e, f = unpack(pack(tree))
    assert (a, b, c, f) == (3, True, 2, 0.1)
    assert [type(x) for x in (a, b, f)] == [int, bool, float]
    assert d.dtype == np.float64
    assert e.dtype == tree["e"].dtype
    assert (e == tree["e"]).all()


def test_parts_are_read_back_bit_for_bit(tmp_path):
    arrays = {"a/b": np.arange(6.0).reshape(2, 3), "n": np.array([np.nan, np.inf]), "t": np.asarray("text")}
    with Store(tmp_path, SETTINGS) as store:
        store.write("one", arrays)
        store.write("other", arrays)
        for name, array in store.read("one").items():
            np.testing.assert_array_equal(array, arrays[name])
        assert store.names() == ["one", "other"]
        store.remove("oth")
        assert store.names() == ["one"]
        assert store.read("other") is None
    assert not list(tmp_path.glob("*.tmp"))


def test_parts_hold_leaves_of_every_kind(tmp_path):
    leaves = {
        "moment": np.ones((2, 3), "bfloat16"), "code": np.arange(3).astype("int4"), "count": 2**40,
        "key": jax.random.key(1, impl="rbg"), "name": np.array(["adam", "sgd"]), "rate": 0.1,
    }  # fmt: skip
    with Store(tmp_path, SETTINGS) as store:
        store.write("one", leaves)
        back = store.read("one")
    assert (back["moment"].dtype, back["code"].dtype) == (leaves["moment"].dtype, leaves["code"].dtype)
    assert back["code"].tolist() == [0, 1, 2]
    assert back["key"] == leaves["key"]
    assert (back["count"], back["name"].tolist(), back["rate"]) == (2**40, ["adam", "sgd"], 0.1)


def test_a_part_of_version_0_1_0_is_read(tmp_path):
    """Entries without a suffix, and no kinds."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in {"index": np.arange(2), "000": np.ones((2, 3), np.float32)}.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array)
    body = buffer.getvalue()
    (tmp_path / "members-00000000.part").write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    with Store(tmp_path, SETTINGS) as store:
        index, leaves = store.shelf("members").get("members-00000000")
        store.write("packed", {"00000": np.arange(3), "00001": np.asarray(7), "kinds": '["ndarray", "int"]'})
        assert [np.asarray(leaf).tolist() for leaf in unpack(store.read("packed"))] == [[0, 1, 2], 7]
    assert (index.tolist(), leaves[0].shape) == ([0, 1], (2, 3))


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.ENOSYS])
def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, code):
    fcntl = pytest.importorskip("fcntl")

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.warns(UserWarning, match="is on a file system without locks"):
        store = Store(tmp_path, SETTINGS)
    with store:
        store.write("one", {"a": np.arange(3)})
        assert store.read("one")["a"].tolist() == [0, 1, 2]


def test_a_file_in_the_place_of_the_folder_is_named_before_anything_is_trained(tmp_path):
    (tmp_path / "file").touch()

    def train(config, key):
        raise AssertionError("traced")

    with pytest.raises(NotADirectoryError, match=r"file' is a file, expected a folder"):
        population_map(train, np.ones(2), jax.random.split(jax.random.key(0), 2), folder=tmp_path / "file")


def test_results_of_extension_dtypes_go_on_in_the_folder(tmp_path):
    keys = jax.random.split(jax.random.key(0), 4)

    def train(config, key):
        half = jnp.full(3, config, jnp.bfloat16)
        small, code = half.astype(jnp.float8_e5m2), config.astype(jnp.int4)
        return {"half": half, "small": small, "code": code, "key": key}

    first = population_map(train, np.arange(4.0), keys, folder=tmp_path)
    again, report = population_map(train, np.arange(4.0), keys, folder=tmp_path, return_report=True)
    assert report.restored == 4
    for name, dtype in {"half": jnp.bfloat16, "small": jnp.float8_e5m2, "code": jnp.int4}.items():
        assert first[name].dtype == again[name].dtype == dtype
        assert first[name].tobytes() == again[name].tobytes()
    assert (again["key"] == keys).all()


def test_a_chunk_of_another_population_says_what_differs(tmp_path):
    keys = jax.random.split(jax.random.key(0), 2)
    population_map(lambda c, key: jnp.full(3, c), np.arange(2.0), keys, folder=tmp_path)
    settings = json.loads((tmp_path / "run.json").read_text())
    train = lambda c, key: jnp.full(4, c, jnp.bfloat16)  # noqa: E731
    settings["settings"]["train"] = fingerprint.of_function(train)
    (tmp_path / "run.json").write_text(json.dumps(settings))
    expected = r"another population: .*float32\[3\].* there and .*bfloat16\[4\].* now\. Name another folder"
    with pytest.raises(ValueError, match=expected) as found:
        population_map(train, np.arange(2.0), keys, folder=tmp_path)
    assert "remove" not in str(found.value)
    assert list(tmp_path.glob("members-*.part"))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "head"])
def test_a_damaged_part_is_set_aside(tmp_path, damage):
    with Store(tmp_path, SETTINGS) as store:
        store.write("one", {"a": np.arange(100.0)})
        path = tmp_path / "one.part"
        content = bytearray(path.read_bytes())
        if damage in ("flip", "head"):
            content[len(content) // 2 if damage == "flip" else 3] ^= 1
        path.write_bytes({"cut": content[:-7], "empty": b""}.get(damage, content))
        assert store.read("one") is None
        assert store.names() == []
        assert (tmp_path / "one.part.damaged").exists()


def test_another_run_is_refused_with_the_difference(tmp_path):
    with Store(tmp_path, SETTINGS):
        pass
    with Store(tmp_path, SETTINGS) as store:
        store.write("one", {"x": 1})
    with pytest.raises(ValueError, match=r"holds another run; what differs: epochs was 3 and is 4\. Name"):
        Store(tmp_path, SETTINGS | {"epochs": "4"})
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match="not a record of a run"):
        Store(tmp_path, SETTINGS)


def test_a_run_that_failed_before_anything_was_finished_holds_no_folder(tmp_path):
    plan = {"share": 1, "batch": 1}
    with Store(tmp_path, {"epochs": "3"}) as store:
        store.write("layout-all", plan)
        store.write("asked-0000", plan)
    with Store(tmp_path, {"epochs": "3"}) as store:
        assert store.names() == ["asked-0000", "layout-all"]  # it goes on
    with Store(tmp_path, {"epochs": "4"}) as store:
        assert store.names() == []  # it is another
        store.write("asked-0000", plan)
        store.write("chunk-0000", plan)
    with pytest.raises(ValueError, match="epochs was 4 and is 3"):
        Store(tmp_path, {"epochs": "3"})


def test_a_second_process_is_refused_and_a_dead_one_is_not(tmp_path):
    code = f"""
        import time
        from jaxopt_notes.population.store import Store
        with Store({str(tmp_path)!r}, {SETTINGS!r}):
            print("in", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "in\n"
        with pytest.raises(BlockingIOError, match=f"in use by process {process.pid}"):
            Store(tmp_path, SETTINGS)
    finally:
        process.kill()
        process.communicate()
    with Store(tmp_path, SETTINGS):
        assert (tmp_path / "run.lock").read_text() == str(os.getpid())


def test_chunks_are_taken_from_the_folder(tmp_path):
    keys = jax.random.split(jax.random.key(0), 20)
    configs = np.arange(20, dtype=np.float32)

    def train(config, key):
        return {"sum": config + jax.random.uniform(key), "key": key}

    plain = population_map(train, configs, keys)
    seen = []

    def stop(index, out):
        seen.extend(index)
        if len(seen) >= 8:
            raise InterruptedError

    options = {"chunk_size": 4, "batch_size": 4, "workers": 1, "folder": tmp_path, "return_report": True}
    with pytest.raises(InterruptedError):
        population_map(train, configs, keys, on_chunk=stop, **options)
    damaged = sorted(tmp_path.glob("members-*.part"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    counts = []
    results, report = population_map(
        train, configs, keys, progress=lambda done, all: counts.append(done), **options
    )
    assert counts[0] == 4  # the whole chunk first
    assert report.restored >= 4
    assert report.chunks == 5 - report.restored // 4
    np.testing.assert_array_equal(results["sum"], plain["sum"])
    assert (results["key"] == keys).all()
    again, report = population_map(train, configs, keys, **options)
    assert (report.restored, report.chunks, report.compile_seconds) == (20, 0, 0.0)
    np.testing.assert_array_equal(again["sum"], plain["sum"])
    with pytest.raises(ValueError, match="what differs: configs was"):
        population_map(train, configs + 1, keys, **options)
    with pytest.raises(ValueError, match="what differs: train was"):
        population_map(lambda config, key: config, configs, keys, **options)


def test_a_function_may_close_over_what_is_not_there_yet():
    def make(assigned):
        def function(config):
            return config if config else later

        if assigned:
            later = 1
        return function

    assert fingerprint.of_function(make(False)) == fingerprint.of_function(make(False))
    assert fingerprint.of_function(make(False)) != fingerprint.of_function(make(True))


def test_functions_are_known_by_what_they_do():
    def make(a, b):
        def scaled(x, c=b):
            inner = lambda y: a * y + c  # noqa: E731
            return inner(x)

        return scaled

    assert fingerprint.of_function(make(1, 2)) == fingerprint.of_function(make(1, 2))
    others = [make(1, 3), make(2, 2), make(np.ones(2), 2), make(np.zeros(2), 2), make(max, 2), make(min, 2)]
    prints = [fingerprint.of_function(f) for f in (make(1, 2), *others)]
    assert len(set(prints)) == len(prints)
    assert "scaled" in prints[0]
    versions = fingerprint.library()
    assert versions["jax"] == jax.__version__
    assert len(versions["code"]) == 12


JOB = """
    import pathlib, sys
    import jax, jax.numpy as jnp, numpy as np
    jax.config.update("jax_compilation_cache_dir", {cache!r})
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    from typing import Any, NamedTuple
    import time
    from jaxopt_notes.record import record
    from jaxopt_notes.population import fingerprint
    from jaxopt_notes.search import asha, log_uniform, sweep

    fingerprint.library = dict  # so that this file may be tested while others are edited

    class State(NamedTuple):
        w: Any
        key: Any

    @record
    class Descent:
        rate: Any

        def init(self, key, data):
            return State(jax.random.normal(key, (3,)), key)

        def advance(self, state, train, valid, epochs):
            def epoch(state, _):
                noise = jax.random.normal(jax.random.fold_in(state.key, 1), (3,))
                w = state.w - self.rate * (state.w + 0.1 * noise)
                loss = jax.pure_callback(slow, jax.ShapeDtypeStruct((), np.float32), jnp.sum(w**2),
                                         vmap_method="expand_dims")
                return State(w, state.key), loss
            state, losses = jax.lax.scan(epoch, state, None, length=epochs)
            return state, {{"valid_loss": losses}}

    def slow(x):
        time.sleep(0.004)
        return np.asarray(x)

    data = (jnp.ones((2, 1)), jnp.ones(2))
    results = sweep(Descent, log_uniform(0.01, 3.0), (data, data), asha(24, batch=8, max_epochs=8, eta=2),
                    seeds=4, key=jax.random.key(0), segment=2, chunk_size=8, batch_size=4, progress=False,
                    folder=sys.argv[1])
    results.to_csv(pathlib.Path(sys.argv[1]) / "results.csv")
    print("end", flush=True)
"""


def run_job(folder, cache, parts=None, seconds=0.0):
    """Run the job; with `parts` kill it so long after so many have come. Whether it came to its end."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(JOB.format(cache=str(cache))), str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    if parts is not None:
        there = set(folder.glob("*.part"))
        while process.poll() is None and len(set(folder.glob("*.part")) - there) < parts:
            time.sleep(0.002)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    out, error = process.communicate(timeout=300)
    assert process.returncode in (0, -signal.SIGKILL), error
    return out == "end\n"


@pytest.mark.full
@pytest.mark.parametrize("kills", [3, 20])
def test_killed_at_any_moment_it_ends_with_the_same_table(tmp_path, kills):
    cache = tmp_path / "cache"
    assert run_job(tmp_path / "whole", cache)
    whole = (tmp_path / "whole" / "results.csv").read_bytes()
    dice = random.Random(kills)
    folder = tmp_path / "killed"
    behind, ended = [], 0
    for _ in range(kills):
        if run_job(folder, cache, dice.randint(0, 4), dice.uniform(0, 0.1)):
            assert (folder / "results.csv").read_bytes() == whole
            ended += 1
            folder = tmp_path / f"killed{ended}"
        behind.append(len(list(folder.glob("*.part"))))
    assert run_job(folder, cache)
    assert (folder / "results.csv").read_bytes() == whole
    assert any(behind)  # at least one was killed with something behind it
    assert not list(folder.glob("*.damaged"))
    assert json.loads((folder / "run.json").read_text())["settings"]["epochs"] == "20"


def test_a_key_keeps_its_generator_and_a_number_its_kind():
    tree = [jax.random.key(1), jax.random.key(1, impl="rbg"), 3, True, 2.5, np.float64(0.1), np.arange(2)]
    found = unpack(pack(tree))
    assert [jax.random.key_impl(key) for key in found[:2]] == [jax.random.key_impl(key) for key in tree[:2]]
    for a, b in zip(found[:2], tree[:2], strict=True):
        np.testing.assert_array_equal(jax.random.key_data(a), jax.random.key_data(b))
    assert [(type(x), x) for x in found[2:5]] == [(int, 3), (bool, True), (float, 2.5)]
    assert found[5].dtype == np.float64


def test_functions_that_differ_in_a_default_are_others():
    def make(default):
        def f(x, y=default, *, z=0):
            return x + y + z

        return f

    def make_keyword(default):
        def f(x, y=1, *, z=default):
            return x + y + z

        return f

    prints = [fingerprint.of_function(f) for f in (make(1), make(2), make_keyword(0), make_keyword(1))]
    assert prints[0] == fingerprint.of_function(make(1))
    assert prints[0] != prints[1]
    assert prints[2] != prints[3]

"""The engine against plain vmap and loops: values, layouts, devices, failures, interruption."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.population.layout import arrange
from jaxopt_notes.population.population_map import population_map


def train(config, key):
    """Gradient descent on a random least-squares problem, with nested configurations and `None`s."""
    a = jax.random.normal(key, (8, 3))

    def loss(w):
        return jnp.mean((a @ w - 1.0) ** 2)

    def step(w, _):
        return w - config["optimizer"]["rate"] * jax.grad(loss)(w), loss(w)

    w, losses = lax.scan(step, jnp.zeros(3), None, length=5)
    return {"w": w, "losses": losses, "none": None}


def population(n):
    configs = {"optimizer": {"rate": np.linspace(0.01, 0.3, n, dtype=np.float32)}, "unused": None}
    return configs, jax.random.split(jax.random.key(3), n)


@pytest.mark.parametrize("n", [1, 5, 37])
@pytest.mark.notes("S1-42", "S1-47")
def test_it_is_vmap(n):
    configs, keys = population(n)
    got, want = population_map(train, configs, keys), jax.vmap(train)(configs, keys)
    assert jax.tree.structure(got) == jax.tree.structure(want)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, want)


def test_chunks_and_threads_change_nothing():
    configs, keys = population(37)
    one = population_map(train, configs, keys, chunk_size=37, batch_size=4, workers=1)
    for options in ({"chunk_size": 4, "workers": 3}, {"chunk_size": 12, "workers": 2}):
        other = population_map(train, configs, keys, batch_size=4, **options)
        jax.tree.map(np.testing.assert_array_equal, one, other)  # bitwise at the same batch size


@pytest.mark.parametrize("members", [1, 2, 31, 96, 257])
@pytest.mark.parametrize("lanes", [1, 2, 64])
@pytest.mark.parametrize(("chunk", "batch"), [(1, 8), (12, 8), (32, 8), (1024, 1024)])
def test_layout_keeps_its_bounds(members, lanes, chunk, batch):
    share, group = arrange(members, lanes, chunk, batch)
    assert 1 <= group <= min(batch, chunk)
    assert share % group == 0
    assert share <= chunk
    largest = chunk // group * group
    assert -(-members // (share * lanes)) == -(-members // (largest * lanes))  # no more rounds than needed


def test_one_trace_and_a_report():
    traces = []

    def counted(config, key):
        traces.append(1)
        return train(config, key)["w"]

    configs, keys = population(37)
    _, report = population_map(counted, configs, keys, chunk_size=8, workers=2, return_report=True)
    assert len(traces) == 1
    assert (report.members, report.chunks, report.chunk_size, report.workers) == (37, 5, 8, 2)
    assert report.devices == tuple(jax.local_devices())
    assert report.compile_seconds > 0
    assert report.run_seconds > 0


def test_delivery_is_complete_and_in_the_calling_thread():
    configs, keys = population(21)
    seen, counts, threads = {}, [], set()

    def on_chunk(index, results):
        threads.add(threading.current_thread())
        seen.update(zip(index.tolist(), results["w"], strict=True))

    whole = population_map(
        train, configs, keys, chunk_size=8, batch_size=4, on_chunk=on_chunk,
        progress=lambda done, members: counts.append((done, members)),
    )  # fmt: skip
    assert threads == {threading.main_thread()}
    assert sorted(seen) == list(range(21))
    np.testing.assert_array_equal(np.stack([seen[i] for i in range(21)]), whole["w"])
    assert counts == sorted(counts)
    assert counts[-1] == (21, 21)


def test_shared_arguments_reach_every_member():
    keys = jax.random.split(jax.random.key(0), 3)

    def train(c, k, x, y, drawn_with):
        return c * x + y + 0 * jax.random.uniform(drawn_with)

    got = population_map(train, np.arange(3.0), keys, shared=(jnp.ones(2), 5.0, keys[0]))
    np.testing.assert_array_equal(got, [[5, 5], [6, 6], [7, 7]])


def test_typed_keys_go_in_and_out():
    keys = jax.random.split(jax.random.key(0), 5)
    more = jax.random.split(jax.random.key(1), 5)
    inner, outer = population_map(lambda c, k: (c, jax.random.fold_in(k, 1)), more, keys)
    assert inner.dtype == more.dtype
    assert (inner == more).all()
    assert (outer == jax.vmap(lambda k: jax.random.fold_in(k, 1))(keys)).all()


def test_workers_share_x64(x64):
    keys = jax.random.split(jax.random.key(0), 3)
    got = population_map(lambda c, k: c / 3.0, np.arange(3.0), keys)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, np.arange(3) / 3, rtol=1e-15)


def test_a_diverged_member_stays_alone():
    configs, keys = population(12)
    clean = population_map(train, configs, keys)
    configs["optimizer"]["rate"][5] = np.nan
    dirty = population_map(train, configs, keys)
    assert np.isnan(dirty["w"][5]).all()
    others = np.arange(12) != 5
    np.testing.assert_array_equal(clean["w"][others], dirty["w"][others])


@pytest.mark.parametrize("number", [np.int64(2**40), np.uint64(2**63), np.float64(1e300)])
def test_numbers_that_would_become_others_are_refused_by_name(number, key):
    keys = jax.random.split(key, 2)
    with pytest.raises(
        ValueError, match=rf"\(configs\): a/b holds {re.escape(str(number))} as .*, where it does"
    ):
        population_map(lambda c, key: c["a"]["b"], {"a": {"b": np.full(2, number)}}, keys)
    with pytest.raises(ValueError, match=r"\(shared\): 0 holds .*jax_enable_x64"):
        population_map(lambda c, key, x: c + x, np.ones(2), keys, shared=(number,))
    with jax.enable_x64(True):
        found = population_map(lambda c, key: c, np.full(2, number), keys)
    assert found[0] == number


def test_errors_say_what_is_wrong():
    configs, keys = population(4)
    with pytest.raises(ValueError, match=r"optimizer/rate has a leading axis of 3 and keys one of 4"):
        population_map(train, {"optimizer": {"rate": np.ones(3)}}, keys)
    with pytest.raises(ValueError, match="optimizer/rate has no leading axis"):
        population_map(train, {"optimizer": {"rate": 0.1}}, keys)
    with pytest.raises(ValueError, match="at least one member"):
        population_map(train, {}, keys[:0])
    with pytest.raises(TypeError, match=r"uint32\[4, 2\], expected typed keys"):
        population_map(train, configs, jax.random.key_data(keys))
    with pytest.raises(TypeError, match="expected typed keys"):
        population_map(train, configs, jax.random.key(0))
    with pytest.raises(ValueError, match=r"chunk_size\) is 0"):
        population_map(train, configs, keys, chunk_size=0)


@pytest.mark.parametrize("progress", [True, False, None])
def test_progress_may_be_what_a_sweep_takes(progress, capfd):
    keys = jax.random.split(jax.random.key(0), 2)
    found = population_map(lambda config, key: 2 * config, np.ones(2, np.float32), keys, progress=progress)
    assert found.tolist() == [2, 2]
    assert ("members" in capfd.readouterr().err) == (progress is True)


def never(*_):
    raise AssertionError("the training function was traced before the arguments were checked")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"progress": lambda: 0}, r"population_map\(progress\) is <lambda>\(\), expected a function"),
        ({"programs": 3}, r"population_map\(programs\) is 3, expected jn\.search\.Programs\(\)"),
        ({"return_report": 3}, r"population_map\(return_report\) is 3, expected one of False, True"),
        ({"progress": "yes"}, r"population_map\(progress\) is 'yes', expected True, False, None, or a fun"),
        ({"on_chunk": 1}, r"population_map\(on_chunk\) is 1, expected a function"),
        ({"on_compile": 1}, r"population_map\(on_compile\) is 1, expected a function"),
        ({"train": 1}, r"population_map\(train\) is 1, expected a function"),
        ({"shared": np.ones((2, 2))}, r"population_map\(shared\) is a ndarray, .* shared=\(x,\)"),
        ({"folder": 3}, r"population_map\(folder\) is 3, expected a path"),
        ({"configs": {"rate": [0.1, 0.2]}}, r"rate is a list, expected .*np\.array\(\[0\.1, 0\.2\]\)"),
        ({"configs": [{"rate": 0.1}] * 2}, r"a list of 2 configurations, .*np\.stack\(rows\), \*configs"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named_before_anything_is_traced(changed, message):
    arguments = {"train": never, "configs": np.ones(2), "keys": jax.random.split(jax.random.key(0), 2)}
    with pytest.raises((TypeError, ValueError), match=message):
        population_map(**arguments | changed)


def branches(config, key):
    return config["net"]["rate"] if config["net"]["rate"] > 0 else 0.0


@pytest.mark.parametrize(
    ("train", "shared", "message"),
    [
        (branches, (), r"needs the value of config\['net'\]\['rate'\] .* jnp\.where\(condition, a, b\)"),
        (lambda config, key, n: jnp.ones(n), (3,), r"needs the value of shared\[0\] .* functools\.partial"),
        (lambda config, key: config["rate"], (), r"reads config\['rate'\], expected one of 'net'"),
        (lambda config: config, (), r"is <lambda>\(config\), expected .* train\(config, key, \*shared\)"),
    ],
    ids=["branch", "shared", "name", "arguments"],
)
def test_what_a_function_cannot_have_while_it_is_traced_is_said(train, shared, message):
    configs = {"net": {"rate": np.ones(2)}}
    with pytest.raises((TypeError, ValueError), match=message):
        population_map(train, configs, jax.random.split(jax.random.key(0), 2), shared=shared)


def test_text_is_no_configuration():
    with pytest.raises(TypeError, match=r"name is an array of <U4, expected numbers: the positions"):
        population_map(never, {"name": np.array(["adam", "sgd"])}, jax.random.split(jax.random.key(0), 2))


def run_python(code, *, interrupt_at=None):
    """The output of a fresh interpreter; with `interrupt_at`, Ctrl-C once it has printed that line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C + textwrap.dedent(code)],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = []
    if interrupt_at is not None:
        for line in process.stdout:
            lines.append(line.strip())
            if line.strip() == interrupt_at:
                process.send_signal(signal.SIGINT)
                break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return lines + out.split("\n")


# A shell may start its background jobs, these tests too, with SIGINT ignored, and children inherit that.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


@pytest.mark.full
def test_eight_devices_give_the_numbers_of_one():
    code = """
        import jax; jax.config.update("jax_num_cpu_devices", 8)
        import jax.numpy as jnp, numpy as np
        from jaxopt_notes.population.population_map import population_map
        def train(config, key, x):
            loss = lambda w: jnp.mean((x @ w - jax.random.normal(key, (8,))) ** 2)
            step = lambda w, _: (w - config * jax.grad(loss)(w), loss(w))
            return jax.lax.scan(step, jnp.zeros(3), None, length=5)
        keys, rates = jax.random.split(jax.random.key(0), 37), np.linspace(0.01, 0.3, 37, dtype=np.float32)
        x = jax.random.normal(jax.random.key(1), (8, 3))
        run = lambda devices, **k: population_map(
            train, rates, keys, shared=(x,), devices=devices, return_report=True, **k)
        eight, report = run(None, chunk_size=2)
        one, single = run(jax.devices()[:1], workers=2)
        two, _ = run(jax.devices()[:2], chunk_size=5)
        assert len(report.devices) == 8 and report.chunks == 3 and single.workers == 2, (report, single)
        for other in (eight, two):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), one, other)
        print("equal")
    """
    assert "equal" in run_python(code)


@pytest.mark.full
def test_ctrl_c_keeps_what_was_finished():
    code = """
        import time, jax, numpy as np
        from jaxopt_notes.population.population_map import population_map
        def wait(x):
            time.sleep(0.05)
            return x
        def train(config, key):
            shape = jax.ShapeDtypeStruct((), np.float32)
            return jax.pure_callback(wait, shape, config, vmap_method="sequential")
        seen = set()
        def on_chunk(index, results):
            assert (results == index).all()
            seen.update(index.tolist())
            print("chunk", flush=True)
        n = 400  # twenty seconds of waiting on one thread
        try:
            population_map(train, np.arange(n, dtype=np.float32), jax.random.split(jax.random.key(0), n),
                           chunk_size=2, workers=2, on_chunk=on_chunk)
        except KeyboardInterrupt:
            print("interrupted", 2 <= len(seen) < n, sorted(seen) == list(range(len(seen))), flush=True)
    """
    assert "interrupted True True" in run_python(code, interrupt_at="chunk")

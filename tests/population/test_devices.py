"""The same numbers on 1, 2 and 8 devices, and on two hosts joined by jax.distributed."""

import os
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pytest

SETUP = """
    import sys, pathlib
    import jax
    jax.config.update("jax_num_cpu_devices", int(sys.argv[2]))
    if len(sys.argv) > 3:
        jax.distributed.initialize(sys.argv[3], 2, int(sys.argv[4]))
    import jax.numpy as jnp, numpy as np
    from typing import Any, NamedTuple
    import jaxopt_notes as jn
    from jaxopt_notes.record import record
    from jaxopt_notes.population import fingerprint
    fingerprint.library = dict  # so that this file may be tested while others are edited
    out = pathlib.Path(sys.argv[1])
"""
SWEEP = (
    SETUP
    + """
    x = jax.random.normal(jax.random.key(1), (40, 3))
    data = ((x, x @ jnp.arange(1.0, 4.0)),) * 2

    class State(NamedTuple):
        w: Any
        key: Any
        best: Any
        stopped: Any

    @record
    class Descent:
        # least squares with noise; stops when it has become worse
        rate: Any

        def init(self, key, data):
            return State(jax.random.normal(key, (3,)), key, jnp.float32(jnp.inf), jnp.array(False))

        def advance(self, state, train, valid, epochs):
            loss = lambda w: jnp.mean((train[0] @ w - train[1]) ** 2)

            def epoch(state, _):
                noise = jax.random.normal(jax.random.fold_in(state.key, 1), (3,))
                w = state.w - self.rate * (jax.grad(loss)(state.w) + noise)
                now = loss(w)
                new = State(w, state.key, jnp.minimum(now, state.best), now > state.best)
                state = jax.tree.map(lambda a, b: jnp.where(state.stopped, a, b), state, new)
                return state, loss(state.w)

            state, losses = jax.lax.scan(epoch, state, None, length=epochs)
            return state, {"valid_loss": losses}

    def train(config, key, x):
        return {"w": jax.random.normal(key, (3,)) @ x[0] * config, "key": jax.random.fold_in(key, 1)}

    keys, rates = jax.random.split(jax.random.key(0), 37), np.linspace(0.01, 0.3, 37, dtype=np.float32)
    plain, report = jn.population_map(train, rates, keys, shared=(x,), batch_size=4, return_report=True)
    assert len(report.devices) == int(sys.argv[2])
    found = {"w": plain["w"], "key": jax.random.key_data(plain["key"])}
    space = {"rate": jn.log_uniform(1e-3, 1.0)}
    for name, strategy, options in (
        ("random", jn.random_search(9), {"segment": 3}),
        ("halving", jn.search.successive_halving(6, max_epochs=4, eta=2), {"at": "last"}),
    ):
        folder = out / name if "--folder" in sys.argv else None
        results = jn.sweep(lambda h: Descent(h["rate"]), space, data, strategy, seeds=3, epochs=6,
                           key=jax.random.key(2), batch_size=4, progress=False, folder=folder, **options)
        found |= {name + "_" + n: c for n, c in {**results.columns, **results.history}.items()}
        found[name + "_scores"] = results.scores
        found[name + "_trained"] = np.array([sum(r.trained for r in results.reports)])
    process = sys.argv[4] if len(sys.argv) > 4 else "0"
    np.savez(out / f"{sys.argv[2]}-{process}.npz", **found)
    print("done", flush=True)
"""
)


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip


def finish(process):
    try:
        out, error = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, error
    assert "done" in out


def check_equal(found, wanted, exact=False):
    assert set(found) == set(wanted)
    for name in wanted:
        if not name.endswith("_trained"):
            if exact or found[name].dtype.kind != "f":
                np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
            else:
                np.testing.assert_allclose(found[name], wanted[name], rtol=2e-5, atol=1e-6, err_msg=name)


def arrays(path):
    with np.load(path) as found:
        return dict(found)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    finish(start(SWEEP, folder, 1))
    return arrays(folder / "1-0.npz")


@pytest.mark.full
@pytest.mark.parametrize("devices", [2, 8])
def test_devices_change_nothing(one, devices, tmp_path):
    finish(start(SWEEP, tmp_path, devices))
    check_equal(arrays(tmp_path / f"{devices}-0.npz"), one)


@pytest.mark.full
def test_two_hosts_share_the_work_and_both_have_all_of_it(one, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [start(SWEEP, tmp_path, 1, address, i, "--folder") for i in range(2)]
    try:
        for process in processes:
            finish(process)
    finally:
        for process in processes:
            process.kill()
    for i in range(2):
        found = arrays(tmp_path / f"1-{i}.npz")
        check_equal(found, one, exact=True)  # the layout is the same: bit for bit
        assert 0 < found["random_trained"][0] < one["random_trained"][0]
    assert len(list((tmp_path / "halving").glob("round-*.part"))) == 3

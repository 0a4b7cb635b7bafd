"""Two processes in one study, one of them killed: on a journal file, and on a PostgreSQL server."""

import contextlib
import glob
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxopt_notes.interop.optuna import optuna_search
from jaxopt_notes.interop.optuna_study import from_optuna
from jaxopt_notes.interop.optuna_workers import Worker, wanted
from jaxopt_notes.search import normal, static_choice, uniform

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

N, BATCH = 12, 3
# What every machine runs. The first one stops in the middle of its second batch, and waits to be killed.
PROGRAM = """
import os, sys, time
import jax, jax.numpy as jnp
import jaxopt_notes as jn
from typing import Any, NamedTuple

class State(NamedTuple):
    w: Any

@jn.record
class Square:
    x: Any
    def init(self, key, train_data):
        return State(jnp.zeros(()))
    def advance(self, state, train_data, valid_data, epochs):
        return state, {"valid_loss": jnp.full(epochs, self.x**2)}

storage, name = sys.argv[1:]
count = 0
def trained(members, configs, results):
    global count
    count += len(members)
    print("trained", *configs["x"].tolist(), flush=True)
    if name == "victim" and count > 3:
        print("waiting", flush=True)
        time.sleep(600)

data = ((jnp.ones((4, 1)), jnp.ones(4)),) * 2
search = jn.interop.optuna_search(12, "RandomSampler", storage, batch=3, shared=True, grace=4.0)
results = jn.sweep(lambda h: Square(h["x"]), {"x": jn.uniform(-1.0, 1.0)}, data, search, epochs=1,
                   key=jax.random.key(0), on_chunk=trained, progress=False)
print("results", len(results), flush=True)
"""


@contextlib.contextmanager
def postgresql(folder):
    """The URL of a server on loopback, of Debian's package; a test without one is skipped."""
    programs = [
        *sorted(glob.glob("/usr/lib/postgresql/*/bin")),
        os.path.dirname(shutil.which("initdb") or ""),
    ]
    if not programs[0]:
        pytest.skip("no PostgreSQL on this machine (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg2", reason="no psycopg2, by which SQLAlchemy speaks to PostgreSQL")
    folder = pathlib.Path(folder) / "server"
    folder.mkdir()
    user = []
    if os.getuid() == 0:  # which PostgreSQL refuses to run as
        if subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
        for above in folder.parents:
            if above.owner() == "root" and str(above) != "/":
                above.chmod(above.stat().st_mode | 0o111)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program, *arguments):
        command = [*user, f"{programs[0]}/{program}", "-D", str(folder), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=120)

    run("initdb", "-U", "postgres", "--auth=trust", "--no-sync")
    run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o",
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off")  # fmt: skip
    try:
        yield f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "stop", "-m", "immediate")


@contextlib.contextmanager
def journal(folder):
    yield str(pathlib.Path(folder) / "study.journal")


def study_in(storage):
    where = optuna_search(1, storage=storage).study()._storage
    return optuna.load_study(study_name="jaxopt_notes", storage=where)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", [journal, postgresql])
def test_what_a_killed_process_leaves_behind_is_trained_by_the_other(place, tmp_path):
    with place(tmp_path) as storage:
        start = [sys.executable, "-c", PROGRAM, storage]
        victim = subprocess.Popen([*start, "victim"], stdout=subprocess.PIPE, text=True)
        seen = []
        for line in victim.stdout:
            seen += map(float, line.split()[1:])
            if line == "waiting\n":
                break
        other = subprocess.Popen([*start, "other"], stdout=subprocess.PIPE, text=True)
        lines = []
        for line in other.stdout:
            lines.append(line)
            if line.startswith("trained"):
                victim.kill()  # its second batch is under way, and nothing of it is told
        assert other.wait() == 0
        victim.wait()

        trials = study_in(storage).trials
        lost = [trial for trial in trials if "taken_up" in trial.user_attrs]
        done = [trial for trial in trials if trial.state.name == "COMPLETE"]
        assert [trial.state.name for trial in lost] == ["FAIL"] * BATCH
        assert N <= len(done) <= N + BATCH  # both may have asked for the last ones
        assert len(trials) == len(done) + len(lost)
        again = {trial.user_attrs["first_asked_as"]: trial.params["x"] for trial in done
                 if "first_asked_as" in trial.user_attrs}  # fmt: skip
        assert again == {trial.number: trial.params["x"] for trial in lost}
        # Nothing is trained twice but what the killed one could not tell, and every score is right.
        assert len({trial.params["x"] for trial in done}) == len(done)
        assert all(abs(trial.value - trial.params["x"] ** 2) < 1e-6 for trial in done)
        trained = [float(x) for line in lines if line.startswith("trained") for x in line.split()[1:]]
        assert sorted(trained + seen[:BATCH]) == pytest.approx(sorted(t.params["x"] for t in done))
        assert lines[-1] == f"results {len(trained)}\n"
        whole = from_optuna(study_in(storage))
        assert len(whole) == len(done)
        assert whole.best["score"] == pytest.approx(min(trial.value for trial in done))


def test_a_worker_is_dead_when_its_count_has_not_moved(tmp_path):
    study = optuna.create_study()
    axes = {"x": optuna.distributions.FloatDistribution(0, 1)}
    dead, alive, looking = (Worker(study, grace) for grace in (0.2, 0.2, 0.6))
    trials = [study.ask(axes), study.ask(axes)]
    dead.own(trials[0])
    alive.own(trials[1])
    dead.stop()
    assert looking.take_up(study.trials) == []  # not known for long enough
    for _ in range(40):
        time.sleep(0.1)
        if taken := looking.take_up(study.trials):
            break
    assert taken == [0]
    assert looking.take_up(study.trials) == []
    states = [(trial.state.name, trial.user_attrs.get("taken_up")) for trial in study.trials]
    assert states == [("FAIL", looking.name), ("RUNNING", None), ("WAITING", None)]
    assert wanted(study, looking, 2, 8) == 1  # what was enqueued again
    assert wanted(study, looking, 6, 8) == 5  # what was taken up is none of the six
    assert wanted(study, looking, 6, 3) == 3
    again = study.ask(axes)
    assert (again.number, again.params) == (2, trials[0].params)
    study.tell(1, 0.0)
    study.tell(2, 0.0)
    assert wanted(study, alive, 2, 8) == 0
    looking.stop()


def test_workers_with_equal_keys_ask_for_different_points(key):
    storage, asked = optuna.storages.InMemoryStorage(), []
    for _ in range(2):
        search = optuna_search(4, "RandomSampler", storage, batch=2, shared=True)
        state = search.init(key, {"x": uniform(0.0, 1.0)})
        assert search.remaining(state) == 2
        configs, state = search.ask(state, key, 2)
        asked += configs["x"].tolist()
        state = search.tell(state, configs, configs["x"])
    assert len(set(asked)) == 4
    assert search.remaining(state) == 0


def test_a_study_as_results(key):
    space = {"rate": uniform(0.0, 1.0), "shift": normal(1.0, 0.5), "kind": static_choice([abs, max])}
    search = optuna_search(
        6, "RandomSampler", optuna.storages.InMemoryStorage(), direction="maximize", batch=6
    )
    configs, state = search.ask(search.init(key, space), key, 6)
    scores = np.array([0.1, 0.5, np.nan, 0.3, 0.2, 0.4])
    search.tell(state, configs, -scores)
    search.study().ask({"rate": optuna.distributions.FloatDistribution(0, 1)})  # not finished
    results = from_optuna(search.study(), space)
    np.testing.assert_allclose(results.scores[:, 0], scores)
    for name in ("rate", "shift"):
        np.testing.assert_allclose(results.columns[name], configs[name], rtol=1e-6)
    assert [[abs, max].index(kind) for kind in results.columns["kind"]] == configs["kind"].tolist()
    assert (results.mode, results.best["rate"]) == ("max", pytest.approx(float(configs["rate"][1])))
    with pytest.raises(ValueError, match="no finished trial"):
        from_optuna(optuna.create_study())
    with pytest.raises(ValueError, match="2 objectives, expected one"):
        from_optuna(optuna.create_study(directions=["minimize", "minimize"]))

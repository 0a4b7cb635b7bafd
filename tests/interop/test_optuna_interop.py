"""Optuna as a strategy: batches of its samplers, its storages, and two processes in one study."""

import os
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.activations import relu, tanh
from jaxopt_notes.interop.optuna import optuna_search
from jaxopt_notes.search import Results, choice, integers, log_uniform, normal, static_choice, uniform

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

SPACE = {
    "rate": log_uniform(1e-4, 1e-1), "dropout": uniform(0.0, 0.5), "depth": integers(1, 4),
    "batch": choice([16, 64]), "width": static_choice([8, 32]),
    "activation": static_choice([tanh, relu]), "shift": normal(1.0, 0.1), "constant": 3,
}  # fmt: skip


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/study.db"


def memory():
    return optuna.storages.InMemoryStorage()


def run(strategy, space, score, key, batch):
    state, columns = strategy.init(key, space), []
    while n := min(strategy.remaining(state), batch):
        key, own = jax.random.split(key)
        configs, state = strategy.ask(state, own, n)
        state = strategy.tell(state, configs, score(configs))
        columns.append(configs)
    return {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}, state


def test_a_batch_is_in_the_space_and_in_the_study(url, key):
    strategy = optuna_search(12, storage=url)
    columns, state = run(strategy, SPACE, lambda c: c["rate"], key, 6)
    assert set(columns) == set(SPACE) - {"constant"}
    assert ((columns["rate"] >= 1e-4) & (columns["rate"] <= 0.1)).all()
    assert set(columns["depth"]) <= {1, 2, 3}
    assert set(columns["batch"]) <= {16, 64}
    assert set(columns["width"]) <= {0, 1}  # positions, as in all strategies
    assert (abs(columns["shift"] - 1.0) < 0.6).all()
    whole = {name for name, column in columns.items() if column.dtype.kind == "i"}
    assert whole == {"activation", "batch", "depth", "width"}
    trials = optuna.load_study(study_name="jaxopt_notes", storage=url).trials
    assert [t.number for t in trials] == state.numbers.tolist() == list(range(12))
    for i, trial in enumerate(trials):
        assert trial.state.name == "COMPLETE"
        np.testing.assert_allclose([trial.value, trial.params["rate"]], columns["rate"][i], rtol=1e-6)
        assert trial.params["width"] == [8, 32][columns["width"][i]]
        assert trial.params["activation"] == ["0: tanh", "1: relu"][columns["activation"][i]]


@pytest.mark.full
@pytest.mark.parametrize("name", ["TPESampler", "RandomSampler", "NSGAIISampler"])
def test_any_sampler_seeded_by_the_key(name, key):
    def configs(key):
        return run(optuna_search(12, name, memory()), SPACE, lambda c: c["rate"], key, 4)[0]

    first, again, other = configs(key), configs(key), configs(jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert (first["rate"] != other["rate"]).all()
    assert len(set(first["rate"].tolist())) == 12


def test_a_sampler_of_ones_own(key):
    space = {"a": choice([1.0, 2.0]), "b": integers(0, 3)}
    grid = optuna.samplers.GridSampler({"a": [1.0, 2.0], "b": [0, 1, 2]}, seed=0)
    columns, _ = run(optuna_search(6, grid, memory()), space, lambda c: c["a"], key, 3)
    assert len(set(zip(columns["a"].tolist(), columns["b"].tolist(), strict=True))) == 6

    def made(seed):
        return optuna.samplers.QMCSampler(qmc_type="halton", seed=seed, warn_independent_sampling=False)

    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        columns, _ = run(optuna_search(5, made, memory()), space, lambda c: c["a"], key, 5)
    assert len(columns["b"]) == 5


@pytest.mark.notes("S1-48")
def test_tpe_finds_what_random_search_does_not(key):
    space = {f"x{i}": uniform(-1.0, 1.0) for i in range(4)}

    def score(c):
        return sum((c[f"x{i}"] - 0.3) ** 2 for i in range(4))

    best = {}
    for name in ("TPESampler", "RandomSampler"):
        ends = [
            score(run(optuna_search(64, name, memory()), space, score, jax.random.key(s), 8)[0]).min()
            for s in range(3)
        ]
        best[name] = np.median(ends)
    assert best["TPESampler"] < best["RandomSampler"]


def test_the_diverged_fail_and_the_direction_is_the_studys(key):
    storage = memory()
    strategy = optuna_search(4, "RandomSampler", storage, "accuracy", "maximize")
    state = strategy.init(key, SPACE)
    configs, state = strategy.ask(state, key, 4)
    state = strategy.tell(state, configs, -jnp.array([0.5, jnp.nan, 0.9, jnp.inf]))  # as sweep does
    study = optuna.load_study(study_name="accuracy", storage=storage)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "FAIL"]
    np.testing.assert_allclose(study.best_value, 0.9)
    assert study.best_trial.number == 2


def test_it_goes_on_from_a_pickled_state(url, key):
    strategy = optuna_search(8, "RandomSampler", url)
    state = strategy.init(key, SPACE)
    configs, state = strategy.ask(state, key, 4)
    strategy, state = pickle.loads(pickle.dumps((strategy, state)))  # killed between ask and tell
    state = strategy.tell(state, configs, jnp.arange(4.0))
    configs, state = strategy.ask(state, key, strategy.remaining(state))
    state = strategy.tell(state, configs, jnp.arange(4.0, 8.0))
    assert strategy.remaining(state) == 0
    assert [t.value for t in strategy.study().trials] == list(map(float, range(8)))
    with pytest.raises(ValueError, match="asked for 1 configurations, 0 of 8 are left"):
        strategy.ask(state, key, 1)


WORKER = """
import sys, warnings
import jax, numpy as np
import optuna
from jaxopt_notes.interop.optuna import optuna_search
from jaxopt_notes.search import log_uniform, population_map, uniform

optuna.logging.set_verbosity(optuna.logging.WARNING)
url, seed = sys.argv[1], int(sys.argv[2])
strategy = optuna_search(12, storage=url)
key = jax.random.key(seed)
state = strategy.init(key, {"rate": log_uniform(1e-2, 1.0), "shift": uniform(-1.0, 1.0)})

def train(config, key):
    loss = lambda w: (w - config["shift"]) ** 2
    return loss(jax.lax.fori_loop(0, 10, lambda _, w: w - config["rate"] * jax.grad(loss)(w), 0.0))

for batch in range(3):
    key, own = jax.random.split(key)
    configs, state = strategy.ask(state, own, 4)
    scores = population_map(train, configs, jax.random.split(own, 4))
    state = strategy.tell(state, configs, scores)
    for i in range(4):
        number = state.numbers[4 * batch + i]
        print(number, *(float(x) for x in (configs["rate"][i], configs["shift"][i], scores[i])))
"""


@pytest.mark.full  # two processes that import JAX; what they share is tested in test_optuna_machines
def test_two_processes_work_on_one_study(url):
    """Vmapped chunks of both land in one SQLite file: all trials, each with its own number and score."""
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, url, str(seed)], stdout=subprocess.PIPE, text=True)
        for seed in (0, 1)
    ]
    outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    rows = [[list(map(float, line.split())) for line in output.splitlines()] for output in outputs]
    assert sorted(int(row[0]) for row in rows[0] + rows[1]) == list(range(24))
    trials = optuna.load_study(study_name="jaxopt_notes", storage=url).trials
    assert len(trials) == 24
    for number, rate, shift, score in rows[0] + rows[1]:
        trial = trials[int(number)]
        assert trial.state.name == "COMPLETE"
        found = [trial.params["rate"], trial.params["shift"], trial.value]
        np.testing.assert_allclose(found, [rate, shift, score], rtol=1e-6)


DISCRETE = {
    "depth": integers(1, 4),
    "batch": choice([16.0, np.nan, 64.0]),
    "kind": static_choice(["a", None]),
}
MISSING = {"CmaEsSampler": "cmaes", "GPSampler": "torch", "QMCSampler": "scipy"}
SAMPLERS = sorted(name for name in dir(optuna.samplers) if name.endswith("Sampler"))


@pytest.mark.filterwarnings("ignore")  # some samplers are experimental
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_works_or_says_what_to_use_instead(name, key):
    """Over a space with NaN, None and strings among its values, for two batches."""
    if name.startswith("Base"):
        refusal = "expected one of 'BruteForceSampler', 'CmaEsSampler'"
    else:
        refusal = r"it needs (\w+ and )?\w+: .*sampler=optuna\.samplers\." + name
    if name.startswith("Base") or name in ("GridSampler", "PartialFixedSampler"):
        with pytest.raises(ValueError, match=refusal):
            optuna_search(8, name, memory(), batch=4)
        return
    strategy = optuna_search(8, name, memory(), batch=4)
    pytest.importorskip(MISSING.get(name, "optuna"))
    columns, _ = run(strategy, DISCRETE, lambda c: c["depth"].astype(float), key, 4)
    assert set(columns["depth"].tolist()) <= {1, 2, 3}
    assert set(columns["kind"].tolist()) <= {0, 1}
    assert all(np.isnan(value) or value in (16.0, 64.0) for value in columns["batch"])
    trials = strategy.study().trials
    for i, trial in enumerate(trials):
        np.testing.assert_array_equal(trial.params["batch"], columns["batch"][i])  # equal also where NaN


@pytest.mark.parametrize("where", ["memory", "file"])
def test_nan_among_the_values_of_a_choice(where, url, key):
    strategy = optuna_search(12, "RandomSampler", memory() if where == "memory" else url)
    columns, _ = run(strategy, {"clip": choice([np.nan, 1.0])}, lambda c: jnp.arange(len(c["clip"])), key, 8)
    assert 0 < np.isnan(columns["clip"]).sum() < 12
    scores = np.arange(12.0)[:, None]
    for space in ({"clip": choice([np.nan, 1.0])}, None):
        results = Results(columns, scores, space=space)
        trials = results.to_optuna().trials
        np.testing.assert_array_equal([trial.params["clip"] for trial in trials], columns["clip"])


def test_samplers_that_cannot_be_used_say_why(key):
    with pytest.raises(ValueError, match=r"'GridSampler', .* needs search_space: jn\.grid_search\(points\)"):
        optuna_search(4, "GridSampler")
    with pytest.raises(
        ValueError, match=r"'PartialFixedSampler', .* needs fixed_params and base_sampler: a num"
    ):
        optuna_search(4, "PartialFixedSampler")
    with pytest.raises(TypeError, match=r"optuna_search\(sampler\) is 3, expected the name"):
        optuna_search(4, 3)
    strategy = optuna_search(4, "BruteForceSampler", memory())
    with (
        pytest.warns(optuna.exceptions.ExperimentalWarning),
        pytest.raises(ValueError, match="'rate' is contin"),
    ):
        strategy.init(key, {"rate": uniform(0.0, 1.0), "depth": integers(1, 4)})
    with pytest.raises(ValueError, match=r"optuna_search\(batch\) is 0"):
        optuna_search(4, batch=0)


def test_without_a_storage_the_study_is_in_memory(key):
    strategy = optuna_search(4, "RandomSampler", None)
    state = strategy.init(key, {"rate": uniform(0.0, 1.0)})
    configs, state = strategy.ask(state, key, 4)
    strategy.tell(state, configs, np.array([3.0, 1.0, 2.0, 4.0]))
    assert strategy.study().best_value == 1.0


@pytest.mark.parametrize("url", ["{}/new/study.journal", "sqlite:///{}/new/study.db"])
def test_the_folder_of_a_storage_is_made(url, tmp_path):
    assert optuna_search(4, storage=url.format(tmp_path)).study().trials == []
    assert len(os.listdir(tmp_path / "new")) >= 1
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file' is a file, expected a folder"):
        optuna_search(4, storage=url.format(tmp_path / "file")).study()


def test_errors_name_everything():
    with pytest.raises(TypeError, match=r"optuna_search\(storage\) is 3, expected a URL"):
        optuna_search(4, storage=3)
    with pytest.raises(ValueError, match=r"optuna_search\(sampler\) is 'Luck', expected .*'TPESampler'"):
        optuna_search(4, "Luck")
    with pytest.raises(ValueError, match=r"optuna_search\(direction\) is 'up'"):
        optuna_search(4, direction="up")

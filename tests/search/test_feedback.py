"""Strategies that learn are told of every batch before they are asked for the next, in a sweep too."""

import signal
import subprocess
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.record import record
from jaxopt_notes.search import STRATEGIES
from jaxopt_notes.search.names import RESERVED

DATA = ((jnp.ones((4, 1)), jnp.ones(4)), (jnp.ones((2, 1)), jnp.ones(2)))
SPACE = {"x": jn.uniform(0.0, 1.0), "y": jn.uniform(0.0, 1.0)}


class State(NamedTuple):
    w: jax.Array


@record
class Distance:
    """A run whose score is how far its hyperparameters are from (0.3, 0.6), in all of its epochs."""

    x: Any
    y: Any

    def init(self, key, train_data):
        return State(jnp.zeros(()))

    def advance(self, state, train_data, valid_data, epochs):
        return state, {"valid_loss": jnp.full(epochs, jnp.hypot(self.x - 0.3, self.y - 0.6))}


def build(h):
    return Distance(h["x"], h["y"])


class Spy:
    """A strategy that writes down what is asked of it, and what it is told."""

    def __init__(self, strategy):
        self.strategy, self.events = strategy, []

    def init(self, key, space):
        return self.strategy.init(key, space)

    def remaining(self, state):
        return self.strategy.remaining(state)

    def ask(self, state, key, n):
        configs, state = self.strategy.ask(state, key, n)
        self.events.append(("ask", {name: np.asarray(column) for name, column in configs.items()}))
        return configs, state

    def tell(self, state, configs, scores):
        self.events.append(("tell", np.asarray(scores)))
        return self.strategy.tell(state, configs, scores)


def run(strategy, mode="min"):
    spy = Spy(strategy)
    results = jn.sweep(
        build, SPACE, DATA, spy, epochs=1, key=jax.random.key(0), progress=False, mode=mode, at="last"
    )
    return spy.events, results


# Strategies that are large by default, or want arguments; with a batch after the first scores if they learn.
SMALL = {
    "coarse_to_fine": jn.coarse_to_fine(((6, 1), (4, 1))),
    "bayesian": jn.bayesian(8, 2, initial=4),
    "successive_halving": jn.successive_halving(6, max_epochs=4, eta=2),
    "hyperband": jn.hyperband(4, eta=2),
    "asha": jn.asha(6, batch=3, max_epochs=2, eta=2),
    "median_stopping": jn.median_stopping(8, 3, wave=4),
    "population_based_training": jn.population_based_training(6, 3),
    "cma_es": jn.cma_es(12, 6),
    "nsga2": jn.nsga2(12, 4),
    "grid_search": jn.grid_search(3),
    "random_search": jn.random_search(6),
    "sobol": jn.sobol(6),
    "halton": jn.halton(6),
    "latin_hypercube": jn.latin_hypercube(6),
}
BLIND = ("grid_search", "random_search", "sobol", "halton", "latin_hypercube")


def batches_differ(first, second):
    return len(first) != len(second) or any(
        not np.array_equal(a[name], b[name])
        for (_, a), (_, b) in zip(first[::2], second[::2], strict=True)
        for name in a
    )


def check_told_before_asked(events, results):
    """Ask, tell, ask, tell: each time all that was asked for, with the scores that the results have."""
    assert [kind for kind, _ in events] == ["ask", "tell"] * (len(events) // 2)
    row = 0
    for (_, configs), (_, scores) in zip(events[::2], events[1::2], strict=True):
        np.testing.assert_allclose(scores, results.scores[row : row + len(scores), 0], rtol=1e-6)
        expected = np.hypot(configs["x"] - 0.3, configs["y"] - 0.6)
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)
        row += len(scores)
    assert row == len(results)


QUICK = ("grid_search", "bayesian", "successive_halving", "cma_es")  # one of each kind


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.full) for name in STRATEGIES]
)
def test_a_strategy_that_learns_is_told_before_it_is_asked_again(name):
    strategy = SMALL[name] if name in SMALL else STRATEGIES[name]()
    events, results = run(strategy)
    check_told_before_asked(events, results)
    worst_first, _ = run(strategy, "max")  # the same draws, the opposite scores
    assert batches_differ(events, worst_first) == (name not in BLIND)
    if name not in BLIND:
        assert len(events) >= 4
        before, after = (
            {k: v for k, v in e[0][1].items() if k not in RESERVED} for e in (events, worst_first)
        )
        jax.tree.map(np.testing.assert_array_equal, before, after)


# Samplers of Optuna: those that learn draw at random before they have enough scores.
SAMPLERS = {
    "TPESampler": lambda seed: optuna().samplers.TPESampler(
        n_startup_trials=4, constant_liar=True, seed=seed
    ),
    "GPSampler": lambda seed: optuna().samplers.GPSampler(n_startup_trials=4, seed=seed),
    "CmaEsSampler": lambda seed: optuna().samplers.CmaEsSampler(n_startup_trials=4, popsize=4, seed=seed),
    "NSGAIISampler": lambda seed: optuna().samplers.NSGAIISampler(population_size=4, seed=seed),
}


def optuna():
    library = pytest.importorskip("optuna")
    library.logging.set_verbosity(library.logging.ERROR)
    return library


@pytest.mark.filterwarnings("ignore")  # of libraries that others bring along
@pytest.mark.parametrize(
    "name",
    [name if name == "TPESampler" else pytest.param(name, marks=pytest.mark.full) for name in SAMPLERS],
)
def test_samplers_of_optuna_learn_within_a_sweep(name):
    from jaxopt_notes.interop import optuna_search

    pytest.importorskip({"GPSampler": "torch", "CmaEsSampler": "cmaes"}.get(name, "optuna"))

    def fresh():
        return optuna_search(16, SAMPLERS[name], optuna().storages.InMemoryStorage(), batch=4)

    events, results = run(fresh())
    assert [len(asked["x"]) for kind, asked in events if kind == "ask"] == [4, 4, 4, 4]
    check_told_before_asked(events, results)
    assert batches_differ(events, run(fresh(), "max")[0])


def test_the_default_batch_of_optuna_search_leaves_room_for_feedback():
    from jaxopt_notes.interop import optuna_search

    optuna()
    strategy = optuna_search(20, "RandomSampler", optuna().storages.InMemoryStorage())
    events, results = run(strategy)
    assert [len(asked["x"]) for kind, asked in events if kind == "ask"] == [8, 8, 4]
    check_told_before_asked(events, results)


INTERRUPTED = """
import os, signal, sys
import jax, optuna
import jaxopt_notes as jn
from jaxopt_notes.interop import optuna_search
from tests.search.test_feedback import DATA, SPACE, build
folder, url, kill = sys.argv[1], sys.argv[2], sys.argv[3] == "kill"
optuna.logging.set_verbosity(optuna.logging.ERROR)
seen = []
def on_chunk(members, configs, out):
    seen.extend(members.tolist())
    if kill and len(seen) >= 6:  # in the midst of the second batch, whose first chunk is in the folder
        os.kill(os.getpid(), signal.SIGKILL)
results = jn.sweep(build, SPACE, DATA, optuna_search(8, storage=url, batch=4), epochs=1, progress=False,
                   key=jax.random.key(0), folder=folder, on_chunk=on_chunk, chunk_size=1, workers=1)
for row in zip(results.columns["x"], results.columns["y"], results.scores[:, 0]):
    print(*row)
"""


def test_a_batch_that_was_asked_for_before_a_kill_is_the_one_that_goes_on(tmp_path):
    """Chunks in the folder belong to the configurations that Optuna gave before the process died."""
    optuna()
    url = f"sqlite:///{tmp_path}/study.db"
    outputs = []
    for what in ("kill", "finish"):
        arguments = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "run"), url, what]
        outputs.append(subprocess.run(arguments, capture_output=True, text=True, timeout=300))
    assert outputs[0].returncode == -signal.SIGKILL, outputs[0].stderr
    assert outputs[1].returncode == 0, outputs[1].stderr
    rows = np.array([list(map(float, line.split())) for line in outputs[1].stdout.splitlines()])
    np.testing.assert_allclose(rows[:, 2], np.hypot(rows[:, 0] - 0.3, rows[:, 1] - 0.6), rtol=1e-4)
    trials = optuna().load_study(study_name="jaxopt_notes", storage=url).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 8
    np.testing.assert_allclose([trial.value for trial in trials], rows[:, 2], rtol=1e-6)


def test_a_storage_that_was_lost_is_said(tmp_path):
    """A folder whose study was in the memory of a process that has ended: the sampler would be blind."""
    from jaxopt_notes.interop import optuna_search

    strategy = optuna_search(4, "RandomSampler", optuna().storages.InMemoryStorage(), batch=2)
    state = strategy.init(jax.random.key(0), SPACE)
    configs, state = strategy.ask(state, jax.random.key(0), 2)
    state = strategy.tell(state, configs, jnp.zeros(2))
    later = optuna_search(4, "RandomSampler", optuna().storages.InMemoryStorage(), batch=2)
    with pytest.raises(ValueError, match=r"has 0 trials, and this search has asked for number 1"):
        later.ask(state, jax.random.key(1), 2)

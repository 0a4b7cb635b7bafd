"""The results of a search as a study of Optuna, in memory and in a file."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.interop.optuna import labels
from jaxopt_notes.search import Results, choice, integers, log_uniform, normal, static_choice

optuna = pytest.importorskip("optuna")


@pytest.fixture
def results():
    space = {
        "rate": log_uniform(1e-3, 1e-1), "depth": integers(1, 4), "kind": static_choice(["a", jnp.tanh]),
        "batch": choice([16, 32]), "shift": normal(0.0, 1.0),
    }  # fmt: skip
    columns = {
        "rate": np.array([1e-3, 0.1, 0.01], np.float32), "depth": np.array([1, 2, 3]),
        "kind": np.array(["a", jnp.tanh, "a"], object), "batch": np.array([16, 32, 32]),
        "shift": np.array([-0.5, 0.0, 2.0], np.float32), "epochs": np.array([1, 1, 3]),
        "parent": np.array([-1, -1, 1]),
    }  # fmt: skip
    scores = np.array([[0.5, 0.7], [0.9, 0.8], [np.nan, 0.9]])
    history = {"accuracy": np.array([[[0.5], [0.7]], [[0.9], [0.8]], [[np.nan], [0.9]]])}
    return Results(columns, scores, "accuracy", "max", history, space=space)


@pytest.mark.parametrize("where", ["memory", "file"])
def test_every_trial_is_there(results, where, tmp_path):
    storage = None if where == "memory" else f"sqlite:///{tmp_path}/sweep.db"
    study = results.to_optuna(storage, "digits")
    if storage:
        study = optuna.load_study(study_name="digits", storage=storage)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert study.best_value == pytest.approx(0.85)
    assert study.best_params == pytest.approx(
        {"rate": 0.1, "depth": 2, "kind": "tanh", "batch": 32, "shift": 0.0}
    )
    first, _, last = study.trials
    assert first.intermediate_values == {1: pytest.approx(0.6)}
    assert first.params["rate"] >= 1e-3
    assert (last.user_attrs["parent"], last.user_attrs["epochs"]) == (1, 3)
    assert study.trials[1].user_attrs["scores"] == [0.9, 0.8]
    assert first.distributions["rate"].log
    assert (first.distributions["depth"].low, first.distributions["depth"].high) == (1, 3)


def test_numbers_are_written_as_people_write_them():
    """The float32 nearest to 0.01 is 0.009999999776482582."""
    columns = {name: np.array([0.01, 0.1], np.float32) for name in ("rate", "decay")}
    space = {"rate": log_uniform(1e-3, 1.0), "decay": choice([0.01, 0.1])}
    study = Results(columns, np.ones((2, 1)), space=space).to_optuna()
    assert study.trials[0].params == {"rate": 0.01, "decay": 0.01}
    assert study.trials[0].distributions["decay"].choices == (0.01, 0.1)
    assert labels(space["decay"]) == [0.01, 0.1]


def test_several_monitors_are_several_objectives(results):
    """Trials 0 and 1 are compromises: less accurate and smaller. Optuna finds the same front."""
    sizes = {"size": np.array([[10.0, 10.0], [20.0, 20.0], [5.0, 5.0]])}
    found = dataclasses.replace(results, measured=sizes, others={"size": "min"})
    study = found.to_optuna()
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.trials[0].values == pytest.approx([0.6, 10.0])
    assert sorted(trial.number for trial in study.best_trials) == sorted(found.pareto_front()) == [0, 1]

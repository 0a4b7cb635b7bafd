"""The main job after its search: what the final model is trained on, for how long, by what it is scored."""

import importlib

import jax
import numpy as np

import jaxopt_notes as jn
from jaxopt_notes.search import Results

module = importlib.import_module("jaxopt_notes.studies.digits_sweep")


def test_the_final_model_has_all_but_the_test_set(key, monkeypatch):
    """The search is replaced by its result: two configurations, of which the second is better."""
    built, searched = [], []

    def build(optimizer, steps, batch_size):
        built.append((optimizer, steps, batch_size))
        return original(optimizer, steps, batch_size)

    def search(build, space, data, strategy, **options):
        searched.append((data, options))
        columns = {"dropout": np.array([0.0, 0.1])}
        history = {"valid_loss": np.arange(4.0).reshape(2, 1, 2)}
        fixed = {"learning_rate": 0.1, "dropout": jn.uniform(0.0, 0.5), "weight_decay": 0.0, "clip_norm": 1.0}
        return Results(columns, np.array([[0.5], [0.7]]), "valid_accuracy", "max", history, space=fixed)

    original = module.builder
    monkeypatch.setattr(module, "builder", build)
    monkeypatch.setattr(module, "sweep", search)
    outcome = module.digits_sweep(key, optimizer="sgd", epochs=2, batch_size=500, seeds=3)
    split_key, *_ = jax.random.split(key, 3)
    train, validation, _ = jn.data.split(split_key, jn.data.digits())
    both = np.concatenate([train[0], validation[0]])
    np.testing.assert_allclose(outcome.standardizer.mean, both.mean(axis=0), rtol=1e-5, atol=1e-6)
    ((train_data, valid_data), options) = searched[0]
    np.testing.assert_allclose(train_data[0].mean(axis=0), 0, atol=1e-5)
    assert np.abs(valid_data[0].mean(axis=0)).max() > 0.01  # by the statistics of the training set
    asked = {"seeds": 3, "epochs": 2, "monitor": "valid_accuracy", "mode": "max", "at": "last"}
    assert {name: options[name] for name in asked} == asked
    steps, steps_final = -(-len(train[1]) // 500), -(-len(both) // 500)
    assert steps < steps_final
    assert built == [("sgd", 2 * steps, 500), ("sgd", 2 * steps_final, 500)]
    assert outcome.steps_per_epoch == steps
    np.testing.assert_array_equal(outcome.curves["valid_loss"], [[2.0, 3.0]])
    assert outcome.table().endswith(f"retrained winner: {outcome.test_score:.4f}")
    assert len(outcome.rows()) == 2
    assert len(outcome.plot().axes) == 1
    assert 0 < outcome.test_score < 1

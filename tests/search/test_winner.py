"""The winner in hand: kept networks, refit, predictions; what a table says of the others."""

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.search.results import Results
from tests.search.test_going_on import build as without_best_params

X = np.random.default_rng(0).normal(size=(48, 3))
Y = X @ [[1.0], [-2.0], [0.5]]
DATA = tuple((jnp.asarray(X[part]), jnp.asarray(Y[part])) for part in (slice(32), slice(32, 48)))


def build(h):
    return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None, batch_size=16)


def run(**options):
    options = {"strategy": jn.grid_search(3), "seeds": 2, "epochs": 4} | options
    return jn.sweep(build, {"rate": jn.log_uniform(1e-3, 0.3)}, DATA, key=jax.random.key(0),
                    progress=False, **options)  # fmt: skip


def test_kept_networks_are_those_that_were_scored(tmp_path):
    results = run(keep_params=2, folder=tmp_path)
    for trial in results.order[:2]:
        params, _ = results.networks(trial)
        kernel, bias = (np.asarray(params[name], np.float64) for name in ("kernel", "bias"))
        errors = (np.einsum("ni,sij->snj", X[32:], kernel) + bias[:, None] - Y[32:]) ** 2
        np.testing.assert_allclose(errors.mean(axis=(1, 2)), results.scores[trial], rtol=1e-4)
    best = results.order[0]
    seed = results.scores[best].argmin()
    params, _ = results.networks()
    expected = X @ params["kernel"][seed] + params["bias"][seed]
    np.testing.assert_allclose(results.predict(jnp.asarray(X)), expected, rtol=1e-5, atol=1e-6)
    again = run(keep_params=2, folder=tmp_path)
    assert again.reports == ()
    jax.tree.map(np.testing.assert_array_equal, again.networks(), results.networks())
    with pytest.raises(ValueError, match=r"networks of trial \d were not kept"):
        results.networks(results.order[2])


@pytest.mark.full
def test_the_winner_is_trained_once_more_on_all_data():
    results = run(refit="train+validation")
    fitted = results.refitted
    assert float(fitted.trainer.optimizer.learning_rate) == pytest.approx(results.best["rate"], rel=1e-6)
    # Its path, by hand: 48 examples are 3 steps of 16, for as many epochs as the runs took to their best.
    assert int(fitted.state.step) == 3 * int(fitted.state.epoch)
    curve = results.history["valid_loss"][results.order[0]]
    assert int(fitted.state.epoch) == np.ceil(np.mean(curve.argmin(axis=1) + 1))
    np.testing.assert_array_equal(results.predict(DATA[1][0]), fitted.predict(DATA[1][0]))
    alone = results.refit("train", progress=False)
    assert alone.history["valid_loss"].shape == (4,)
    assert results.refit(epochs=2, progress=False).state.step == 6


def test_without_networks_the_error_says_how_to_have_them():
    results = run(strategy=jn.grid_search(1), seeds=1, epochs=1)
    with pytest.raises(ValueError, match=r"results.refit\(\).predict"):
        results.predict(X)
    loaded = pickle.loads(pickle.dumps(results))
    np.testing.assert_array_equal(loaded.scores, results.scores)
    with pytest.raises(ValueError, match=r"refit needs the sweep's build and data"):
        loaded.refit()
    for options, message in {
        ("keep_params", "some"): r"sweep\(keep_params\) is 'some'",
        ("keep_params", 0): r"sweep\(keep_params\) is 0",
        ("refit", "test"): r"sweep\(refit\) is 'test'",
    }.items():
        with pytest.raises((ValueError, TypeError), match=message):
            run(**dict([options]))
    with pytest.raises(TypeError, match=r"needs a state with `best_params`"):
        jn.sweep(without_best_params, {"rate": 0.5}, DATA, jn.grid_search(), epochs=1, key=jax.random.key(0),
                 keep_params="best", progress=False)  # fmt: skip


def test_what_is_printed_is_short_and_says_what_seeds_do_not_tell_apart():
    rng = np.random.default_rng(1)
    seeds = rng.normal(size=(1, 5))
    scores = seeds + np.array([[0.0], [0.001], [0.2]]) + rng.normal(size=(3, 5)) * 0.01
    results = Results({"rate": np.array([0.01, 0.1, 1.0], np.float32)}, scores, "valid_loss")
    best = results.order[0]
    assert results.within_error() == [1 - best]  # though all lie within the spread of the seeds
    assert repr(results).startswith("Results(3 configurations × 5 seeds, best valid_loss ")
    assert len(str(results).splitlines()) == 6
    assert dataclasses.replace(results, scores=scores[:, :1]).within_error() == []
    assert sorted(row["rate"] for row in results.rows()) == [0.01, 0.1, 1.0]  # as people write float32s


def test_a_run_that_goes_on_has_one_line_in_the_table():
    columns = {
        "rate": np.array([0.1, 0.2, 0.1, 0.3]),
        "epochs": np.array([1, 1, 3, 3]),
        "parent": np.array([-1, -1, 0, 0]),
    }
    results = Results(columns, np.array([[0.3], [0.5], [0.2], [0.4]]), space={"rate": jn.uniform(0.0, 1.0)})
    assert [int(line.split()[1]) for line in results.table().splitlines()[1:]] == [2, 3, 1]
    assert [row["rate"] for row in results.top(4)] == [0.1, 0.3, 0.2]
    assert len(results.rows()) == 4

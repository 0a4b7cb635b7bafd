"""Cross-validation in a sweep: equal to the loop over folds, on copies of their data, prepared by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.data import grouped_kfold_indices, kfold_indices, leave_one_out_indices
from jaxopt_notes.data.batches import take
from jaxopt_notes.data.selected import Selected
from jaxopt_notes.search import nested_cross_validation
from jaxopt_notes.search.cross_validation import fold_data
from jaxopt_notes.search.results import Results

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(23, 3)) * [1.0, 10.0, 0.1] + 5, jnp.float32)
Y = jnp.asarray(np.asarray(X)[:, :1] > 5, jnp.float32)
KEY = jax.random.key(0)


def build(h):
    return jn.Trainer(jn.mlp([4, 1]), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None, batch_size=4)


def run(folds, data=(X, Y), **options):
    options = {"seeds": 2, "epochs": 2, "preprocess": jn.fit_standardizer} | options
    return jn.sweep(build, {"rate": jn.choice([0.01, 0.1])}, data, jn.grid_search(2), folds=folds, key=KEY,
                    progress=False, **options)  # fmt: skip


@pytest.mark.notes("S0-08")
def test_it_is_the_loop_over_copies_of_the_folds():
    """8 folds of 23 are unequal: validation parts of 3 and 2 examples, which count so in the mean.

    An example counts by its weight in all that is done with it: 0, as if it were not there, to 3 / 2.
    """
    folds = kfold_indices(jax.random.key(5), 23, 8)
    own = np.arange(23) % 4 / 2
    results = run(folds, seeds=1, data=(X, Y, own))
    sizes = (own[folds.validation] * np.asarray(folds.validation_weights)).sum(axis=1)
    x = np.asarray(X, np.float64)
    # the keys of a sweep's seeds, and one compiled run for all the loop
    key = jax.random.split(jax.random.split(KEY, 4)[2], 1)[0]

    @jax.jit
    def score(rate, train, valid):
        trainer = build({"rate": rate})
        state = trainer.init(key, train)
        return trainer.advance(state, train, valid, 2)[1]["valid_loss"].min()

    scores = []
    for rate in np.asarray(results.columns["rate"]):
        for f in range(8):
            train, valid = (np.asarray(rows[f]) for rows in (folds.train, folds.validation))
            w = np.float32(folds.train_weights[f] * own[train])
            v = np.float32(folds.validation_weights[f] * own[valid])
            mean = np.average(x[train], axis=0, weights=w)
            spread = np.sqrt(np.average((x[train] - mean) ** 2, axis=0, weights=w))
            ready = jnp.asarray((x - mean) / spread, jnp.float32)
            scores.append(score(rate, (ready[train], Y[train], w), (ready[valid], Y[valid], v)))
    np.testing.assert_allclose(results.scores, np.reshape(scores, (2, 8)), rtol=1e-4)
    np.testing.assert_allclose(results.score_mean, results.scores @ sizes / own.sum(), rtol=1e-6)
    np.testing.assert_allclose(
        results.score_error, results.scores.std(axis=1, ddof=1) / np.sqrt(8), rtol=1e-6
    )


@pytest.mark.full
def test_runs_are_numbered_by_seed_and_fold_and_the_winner_is_trained_on_all(tmp_path):
    groups = np.arange(23) // 3
    folds = grouped_kfold_indices(jax.random.key(1), groups, 2)
    results = run(folds, refit="train+validation", folder=tmp_path)
    assert results.scores.shape == (2, 4)
    one = run(folds, seeds=1)
    np.testing.assert_allclose(results.scores[:, :2], one.scores, rtol=1e-5)  # seed 0: the first two runs
    fitted = results.refitted
    x = np.asarray(X, np.float64)
    ready = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(results.predict(X), fitted.predict(jnp.asarray(ready, jnp.float32)), atol=1e-4)
    assert "× 2 seeds × 2 folds" in str(results)
    assert "valid_loss ± s.e." in str(results)
    assert "score_error" in results.rows()[0]
    assert run(folds, folder=tmp_path).reports == ()
    with pytest.raises(ValueError, match="data was"):
        run(3, folder=tmp_path)


@pytest.mark.full
def test_the_data_are_there_once(on_cpu):
    """Temporaries of eight members are those of one each, not copies of their training data."""
    x, y = jnp.zeros((4000, 100)), jnp.zeros((4000, 1))
    folds = fold_data("sweep", 4, None, (x, y), KEY)

    def member(rate, fold, data, folds):
        train, valid = folds.of_fold(data, fold)
        trainer = jn.Trainer(jn.dense(1), jn.sgd(rate), jn.mean_squared_error, metric=None)
        return trainer.advance(trainer.init(KEY, train), train, valid, 2)[1]["loss"]

    def temporaries(members):
        program = jax.jit(jax.vmap(member, in_axes=(0, 0, None, None)))
        arguments = jnp.ones(members), jnp.arange(members) % 4, (x, y), folds
        return program.lower(*arguments).compile().memory_analysis().temp_size_in_bytes

    training_part = 3000 * 100 * 4
    assert temporaries(8) - temporaries(1) < 7 * training_part / 2  # the validation parts are a third of it


def test_selected_rows_stand_for_an_array():
    data = {"a": jnp.arange(10.0), "b": jnp.arange(20.0).reshape(10, 2)}
    rows = jnp.array([7, 7, 3])
    scaler = jn.fit_standardizer(data["b"])
    picked = take(Selected(data, rows), jnp.array([[0, 2]]))
    np.testing.assert_array_equal(picked["a"], [[7.0, 3.0]])
    np.testing.assert_array_equal(picked["b"], [[[14.0, 15.0], [6.0, 7.0]]])
    prepared = Selected(data["b"], rows, scaler)[jnp.array([1])]
    np.testing.assert_array_equal(prepared, scaler.apply(data["b"][jnp.array([7])]))


@pytest.mark.full
@pytest.mark.notes("S0-08")
def test_the_score_of_a_search_is_taken_where_it_has_not_looked():
    """Every winner is refitted on its outer training part, and judged on the rest, as done by hand."""
    folds = kfold_indices(jax.random.key(2), 23, 3)
    seen = []

    def search(data, key):
        results = jn.sweep(build, {"rate": jn.choice([0.01, 0.1])}, data, jn.grid_search(2), folds=2,
                           preprocess=jn.fit_standardizer, epochs=2, key=key, progress=False)  # fmt: skip
        seen.append((np.asarray(data[0]), results))
        return results

    found = nested_cross_validation(search, (X, Y), folds, key=KEY)
    for i, (x, results) in enumerate(seen):
        rows = np.asarray(folds.validation[i])[np.asarray(folds.validation_weights[i]) > 0]
        assert not (x[:, None] == np.asarray(X)[rows]).all(-1).any()
        outputs = np.asarray(results.refit(progress=False).predict(results.prepared(X[rows])))
        np.testing.assert_allclose(found.scores[i], np.mean((outputs - np.asarray(Y)[rows]) ** 2), rtol=1e-4)
    np.testing.assert_allclose(found.mean, found.scores.mean())
    np.testing.assert_allclose(found.standard_error, found.scores.std(ddof=1) / np.sqrt(3))


def test_what_nested_cross_validation_cannot_use_is_named():
    for options, message in (
        ({"search": 3}, r"\(search\) is 3, expected a function that is called as search\(data, key\)"),
        ({"search": lambda data, key: None}, r"\(search\) returned None, expected Results"),
        ({"data": X}, r"\(data\) is a .*, expected \(x, y\)"),
        ({"key": 0}, r"\(key\) is 0, expected one typed"),
        ({"outer": "a"}, r"\(outer\) is 'a', expected a whole number of at least 2"),
    ):  # fmt: skip
        arguments = {"search": lambda data, key: None, "data": (X, Y), "outer": 2, "key": KEY} | options
        with pytest.raises(TypeError, match="nested_cross_validation" + message):
            nested_cross_validation(**arguments)


def test_the_simplest_within_one_standard_error():
    scores = np.array([[1.0, 1.2, 1.4], [1.25, 1.3, 1.32], [1.5, 1.6, 1.4], [np.nan, 1.2, 1.2]])
    results = Results({"decay": np.array([0.1, 1.0, 10.0, 100.0])}, scores)  # best 1.2 ± 0.115
    assert results.one_standard_error("decay") == {"decay": 1.0, "score": pytest.approx(1.29)}
    assert results.one_standard_error("decay", "smaller")["decay"] == 0.1
    with pytest.raises(ValueError, match=r"one_standard_error\(name\) is 'rate'"):
        results.one_standard_error("rate")
    with pytest.raises(ValueError, match="needs several folds or seeds"):
        Results({"x": np.arange(2)}, np.ones((2, 1))).one_standard_error("x")


def test_mistakes_are_said_before_anything_is_trained():
    for options, error in [
        ({"folds": 1}, r"sweep\(folds\) is 1"),
        ({"folds": kfold_indices(KEY, 40, 2)}, r"rows up to 39, expected below n = 23"),
        ({"data": ((X, Y), (X, Y))}, r"must be one pair \(x, y\)"),
        ({"data": (X, Y, Y)}, r"sweep\(data\) has weights of shape \(23, 1\), expected \(23,\)"),
        ({"preprocess": lambda x, weights: x.mean()}, r"sweep\(preprocess\) returned"),
        ({"data": (X, Y, np.zeros(23))}, r"the train part of fold 0 all examples have weight 0"),
        (
            {"data": (X, Y, np.arange(23) > 3), "folds": leave_one_out_indices(23)},
            r"the validation part of fold 0 all",
        ),
        ({"data": (X.tolist(), Y)}, r"sweep\(data\) has a list as x, expected an array"),
    ]:
        with pytest.raises((ValueError, TypeError), match=error):
            run(**({"folds": 2} | options))
    with pytest.raises(ValueError, match=r"sweep\(preprocess\) needs folds"):
        run(None, data=((X, Y), (X, Y)))

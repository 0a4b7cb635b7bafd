"""Hyperparameters called like a search's own columns: nothing is lost, in results, files and logs."""

import csv
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.cli.job import Members
from jaxopt_notes.record import record
from jaxopt_notes.search import Results, csv_logger
from jaxopt_notes.search.importance import importance
from jaxopt_notes.search.names import own_names
from jaxopt_notes.search.spaces.space import dimensions

DATA = ((jnp.ones((4, 1)), jnp.ones(4)), (jnp.ones((2, 1)), jnp.ones(2)))
NAMES = ("trial", "seed", "epochs", "parent", "score", "member", "key", "rank", "loss", "valid_loss",
         "score_mean", "score_0", "diverged", "state", "step", "config")  # fmt: skip
# A value tells whose it is: that of the i-th name lies in [10·i + 10, 10·i + 11].
SPACE = {name: jn.uniform(10.0 * i + 10, 10.0 * i + 11) for i, name in enumerate(NAMES)}


@record
class Constant:
    """A run whose losses and score are functions of one hyperparameter."""

    x: Any

    def init(self, key, train_data):
        return jnp.zeros(())

    def advance(self, state, train_data, valid_data, epochs):
        curve = jnp.full(epochs, -jnp.asarray(self.x))
        return state, {"loss": curve, "valid_loss": 2 * curve, "score": 3 * curve, "seed": 4 * curve}


def build(h):
    return Constant(h["loss"])


def owners(row):
    """Whose value stands under each name of the space."""
    return {name: NAMES[int(float(row[name]) // 10) - 1] for name in NAMES}


EVERYONE = {name: name for name in NAMES}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    options = {"seeds": 2, "key": jax.random.key(0), "progress": False, "folder": folder / "run"}
    strategy = jn.successive_halving(4, max_epochs=2, eta=2)
    results = jn.sweep(build, SPACE, DATA, strategy, **options, logger=csv_logger(folder / "log.csv"))
    again = jn.sweep(build, SPACE, DATA, strategy, **options)  # from the folder
    return results, again, folder


def test_a_batch_keeps_its_own_columns_beside_the_hyperparameters(found):
    results, again, _ = found
    assert set(results.columns) == {*NAMES, "sweep/epochs", "sweep/parent"}
    assert results.columns["sweep/epochs"].tolist() == [1, 1, 1, 1, 2, 2]
    parents = results.columns["sweep/parent"].tolist()
    assert parents[:4] == [-1] * 4
    assert results.lineage(5) == [parents[5], 5]
    assert results.epochs_trained().tolist() == [1, 1, 1, 1, 1, 1]
    assert sorted(results.importance("bins")) == sorted(NAMES)
    jax.tree.map(np.testing.assert_array_equal, results.columns, again.columns)
    np.testing.assert_array_equal(results.scores, again.scores)


def test_the_best_has_every_hyperparameter_and_its_score(found):
    results, *_ = found
    assert owners(results.best) == EVERYONE
    assert results.best["score/valid_loss"] == pytest.approx(-2 * results.best["loss"])
    assert results.best_config == {name: results.best[name] for name in NAMES}
    header = results.table().split("\n")[0].split()
    assert len(set(header)) == len(header) == len(results.columns) + 3


def test_rows_and_files_have_every_hyperparameter_and_every_score(found, tmp_path):
    results, *_ = found
    rows = results.rows()
    results.to_csv(tmp_path / "r.csv")
    results.to_json(tmp_path / "r.json")
    with open(tmp_path / "r.csv", newline="") as file:
        header, *lines = csv.reader(file)
    assert len(set(header)) == len(header)
    written = json.loads((tmp_path / "r.json").read_text())["rows"]
    for rank, (row, line, entry) in enumerate(zip(rows, lines, written, strict=True), 1):
        for one in (row, dict(zip(header, line, strict=True)), entry):
            assert owners(one) == EVERYONE
            assert (int(one["sweep/rank"]), int(one["sweep/diverged"])) == (rank, 0)
            np.testing.assert_allclose(float(one["sweep/score_0"]), -2 * float(one["loss"]), rtol=1e-6)
            np.testing.assert_allclose(float(one["sweep/score_mean"]), float(one["score_1"]), rtol=1e-6)


def test_parquet_has_every_hyperparameter(found, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    results, *_ = found
    results.to_parquet(tmp_path / "r.parquet")
    table = pandas.read_parquet(tmp_path / "r.parquet")
    assert owners(table.iloc[0]) == EVERYONE
    assert table["sweep/rank"].tolist() == [1, 2, 3, 4, 5, 6]


def test_the_csv_log_has_every_hyperparameter_and_every_curve(found):
    results, _, folder = found
    with open(folder / "log.csv", newline="") as file:
        header, *lines = csv.reader(file)
    assert len(set(header)) == len(header)
    assert len(lines) == results.scores.size
    for line in lines:
        row = dict(zip(header, line, strict=True))
        trial, seed, x = int(row["sweep/trial"]), int(row["sweep/seed"]), float(row["loss"])
        assert owners(row) == EVERYONE
        assert x == pytest.approx(results.columns["loss"][trial])
        assert float(row["sweep/score"]) == pytest.approx(results.scores[trial, seed])
        entries = [float(row[f"history/{name}"]) for name in ("loss", "valid_loss", "score", "seed")]
        np.testing.assert_allclose(entries, [-x, -2 * x, -3 * x, -4 * x], rtol=1e-6)
        assert int(row["sweep/epochs"]) == results.columns["sweep/epochs"][trial]


def test_optuna_has_every_hyperparameter(found):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    results, *_ = found
    for i, trial in enumerate(results.to_optuna().trials):
        assert owners(trial.params) == EVERYONE
        assert trial.user_attrs["epochs"] == results.columns["sweep/epochs"][i]
        assert trial.user_attrs["parent"] == results.columns["sweep/parent"][i]


def test_the_command_lines_members_have_every_hyperparameter(tmp_path):
    members = Members(tmp_path, {})
    columns = {name: np.array([10.0 * i + 10]) for i, name in enumerate(NAMES)}
    members.add(np.array([7]), columns, {"score": np.array([0.5])})
    with open(tmp_path / "members.csv", newline="") as file:
        header, line = csv.reader(file)
    row = dict(zip(header, line, strict=True))
    assert owners(row) == EVERYONE
    assert (row["sweep/member"], row["sweep/score"]) == ("7", "0.5")


def test_names_that_do_not_collide_are_what_they_were(tmp_path):
    logger = csv_logger(tmp_path / "log.csv")
    logger.log(3, 0, {"rate": 0.1, "epochs": 2, "parent": -1}, 0.5, {"loss": np.array([1.0, 0.5])})
    logger.close()
    assert (
        tmp_path / "log.csv"
    ).read_text() == "trial,seed,rate,epochs,parent,score,loss\n3,0,0.1,2,-1,0.5,0.5\n"
    assert own_names(["a"], "sweep", ["trial", "score"]) == {"trial": "trial", "score": "score"}
    # columns of a continued search without its space, as files of earlier versions give them
    columns = {
        "rate": np.array([0.1, 0.2, 0.1]),
        "epochs": np.array([1, 1, 3]),
        "parent": np.array([-1, -1, 0]),
    }
    results = Results(columns, np.array([[2.0], [3.0], [1.0]]))
    assert results.lineage(2) == [0, 2]
    assert results.epochs_trained().tolist() == [1, 1, 2]
    assert list(importance(results, "bins")) == ["rate"]


def test_a_hyperparameter_called_epochs_in_a_search_that_continues_nothing():
    results = jn.sweep(lambda h: Constant(h["epochs"]), {"epochs": jn.choice([2.0, 5.0])}, DATA,
                       jn.grid_search(), epochs=3, key=jax.random.key(0), progress=False)  # fmt: skip
    assert results.epochs_trained(3).tolist() == [3, 3]
    assert results.best["epochs"] == 5.0
    assert results.history["loss"].shape == (2, 1, 3)


def test_two_hyperparameters_of_one_name_are_refused():
    space = {"a": {"b": jn.uniform(0.0, 1.0)}, "a/b": jn.uniform(2.0, 3.0)}
    with pytest.raises(ValueError, match="two hyperparameters called 'a/b': give one another name"):
        dimensions(space)
    # a constant may: it is no column
    columns = {"a/b": np.array([2.5])}
    results = Results(columns, np.ones((1, 1)), space={"a": {"b": 7}, "a/b": jn.uniform(2.0, 3.0)})
    assert results.best_config == {"a": {"b": 7}, "a/b": 2.5}


def test_a_csv_log_takes_other_histories_and_further_sweeps(tmp_path):
    """Members of another structure may have another metric; a logger that a sweep has closed goes on."""
    logger = csv_logger(tmp_path / "log.csv")
    logger.log(0, 0, {"kind": "a"}, 0.5, {"loss": np.array([1.0])})
    logger.log(1, 0, {"kind": "b"}, 0.6, {"loss": np.array([2.0]), "accuracy": np.array([0.25])})
    logger.close()
    logger.log(0, 0, {"kind": "a", "rate": 0.1}, 0.7, {"loss": np.array([3.0])})
    logger.close()
    assert (tmp_path / "log.csv").read_text().split() == [
        "trial,seed,kind,score,epochs,loss,accuracy,rate",
        "0,0,a,0.5,1,1.0,,",
        "1,0,b,0.6,1,2.0,0.25,",
        "0,0,a,0.7,1,3.0,,0.1",
    ]


def test_rounds_whose_histories_differ_stay_in_line():
    """A metric that only the second of two batches has."""
    strategy = Batches([0, 0], [1])
    space = {"kind": jn.static_choice(["plain", "named"]), "x": 1.0}

    def build(h):
        return Constant(h["x"]) if h["kind"] == "plain" else Named(h["x"])

    results = jn.sweep(build, space, DATA, strategy, epochs=2, key=jax.random.key(0), progress=False)
    assert results.history["named"].shape == results.history["loss"].shape == (3, 1, 2)
    np.testing.assert_array_equal(results.history["named"][:, 0], [[np.nan] * 2, [np.nan] * 2, [5, 5]])


class Batches:
    """A strategy whose batches of positions of a static choice are written out."""

    def __init__(self, *kinds):
        self.kinds = kinds

    def init(self, key, space):
        return 0

    def remaining(self, state):
        return len(self.kinds[state]) if state < len(self.kinds) else 0

    def ask(self, state, key, n):
        return {"kind": np.array(self.kinds[state])}, state + 1

    def tell(self, state, configs, scores):
        return state


@record
class Named(Constant):
    """As its parent, with one entry more in its history."""

    def advance(self, state, train_data, valid_data, epochs):
        state, history = Constant.advance(self, state, train_data, valid_data, epochs)
        return state, history | {"named": jnp.full(epochs, 5.0)}


def test_results_say_where_else_to_look():
    with pytest.raises(AttributeError, match=r"no attribute .params.: sweep\(keep_params=…\) keeps them"):
        _ = Results({}, np.ones((1, 1))).params
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = Results({}, np.ones((1, 1))).nonsense

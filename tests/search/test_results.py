"""Ranking, ties, divergence, the table and the files."""

import csv
import json

import numpy as np
import pytest

from jaxopt_notes.search import choice, uniform
from jaxopt_notes.search.results import Results

SCORES = np.array([[0.5, 0.7], [np.nan, 0.9], [0.8, 0.6], [np.nan, np.inf], [0.2, 0.4]])
COLUMNS = {"rate": np.array([0.1, 0.2, 0.3, 0.4, 0.5], np.float32), "act": np.array(list("abcde"), object)}


@pytest.mark.notes("S1-41")
def test_the_log_of_the_notes_returns_its_second_configuration():
    columns = {"rate": np.array([0.1, 0.1]), "dropout": np.array([0.3, 0.35]), "batch": np.array([4, 4])}
    results = Results(columns, np.array([[0.92], [0.923]]), "accuracy", "max")
    assert results.best == {"rate": 0.1, "dropout": 0.35, "batch": 4, "accuracy": 0.923}
    assert results.table().split("\n")[1].split() == ["1", "1", "0.1", "0.35", "4", "0.923"]


@pytest.mark.notes("S1-41")
def test_ties_go_to_the_first():
    results = Results({"x": np.arange(4)}, np.array([[2.0], [1.0], [1.0], [2.0]]))
    assert results.order.tolist() == [1, 2, 0, 3]


@pytest.mark.parametrize(("mode", "order"), [("max", [2, 0, 4, 1, 3]), ("min", [4, 0, 2, 1, 3])])
def test_diverged_seeds_rank_last_and_are_counted(mode, order):
    results = Results(COLUMNS, SCORES, "score", mode)
    assert results.order.tolist() == order
    assert results.diverged == 3
    np.testing.assert_allclose(results.score_mean, [0.6, 0.9, 0.7, np.nan, 0.3])
    np.testing.assert_allclose(results.score_std, np.array([0.1, 0, 0.1, 0, 0.1]) * np.sqrt(2), atol=1e-12)
    assert [row["rate"] for row in results.top(2)] == [[0.1, 0.2, 0.3, 0.4, 0.5][i] for i in order[:2]]
    assert "(1 diverged)" in results.table().split("\n")[4]


def test_the_table_is_aligned_and_short():
    lines = Results(COLUMNS, SCORES, "valid_loss").table(3).split("\n")
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == ["1", "4", "0.5", "e", "0.3", "±", "0.14"]


def test_best_config_has_the_shape_of_the_space():
    space = {"opt": {"rate": uniform(0.0, 1.0), "eps": 1e-8}, "act": choice([0.0]), "hidden": [8, 8]}
    columns = {"opt/rate": np.array([0.1, 0.2]), "act": np.array(["relu", "tanh"], object)}
    results = Results(columns, np.array([[2.0], [1.0]]), space=space)
    assert results.best_config == {"opt": {"rate": 0.2, "eps": 1e-8}, "act": "tanh", "hidden": [8, 8]}


def test_files_hold_every_row_in_a_folder_that_is_made(tmp_path):
    results, tmp_path = Results(COLUMNS, SCORES, "score", "max"), tmp_path / "new"
    results.to_csv(tmp_path / "r.csv")
    with open(tmp_path / "r.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == [2, 0, 4, 1, 3]
    np.testing.assert_array_equal(
        [[float(r["score_0"]), float(r["score_1"])] for r in rows], SCORES[[2, 0, 4, 1, 3]]
    )
    assert rows[0]["rate"] == "0.3"
    results.to_json(tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)  # no NaN in JSON
    assert (content["mode"], content["rows"][0]["act"], content["rows"][4]["score_1"]) == ("max", "c", None)


def test_levels_and_trials_that_are_not_there_are_refused():
    results = Results({"x": np.arange(3)}, np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"within_error\(level\) is 2, expected a number in \(0, 1\)"):
        results.within_error(2)
    for of_trial in (results.lineage, results.networks, results.config_of):
        with pytest.raises(ValueError, match=r"the trial is 3, expected one of 0 … 2"):
            of_trial(3)


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"Results\(mode\) is 'best'"):
        Results({}, np.zeros((1, 1)), mode="best")
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \[n, seeds\]"):
        Results({}, np.zeros(3))
    with pytest.raises(ValueError, match="x has 2 rows and scores 3"):
        Results({"x": np.zeros(2)}, np.zeros((3, 1)))
    for trial in (-1, 3):
        with pytest.raises(ValueError, match=rf"the trial is {trial}, expected one of 0 … 2"):
            Results({"x": np.zeros(3)}, np.zeros((3, 1))).config_of(trial)

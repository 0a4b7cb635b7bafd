"""Median stopping: Vizier's rule by hand and in NumPy, and what it saves."""

import numpy as np
import pytest

from jaxopt_notes.search import median_rule, median_stopping, uniform
from tests.compiled import compiled
from tests.search.curves import drive, lineage

SPACE = {"loss": uniform(0.0, 1.0), "pace": uniform(0.5, 2.0)}


def test_the_rule_by_hand():
    """Finished: 10 8 6 | 6 4 2 | 9 6 6; their means at the second look: 9, 5, 7.5; the median: 7.5."""
    nan = np.nan
    curves = np.float32(
        [
            [10.0, 8, 6], [6, 4, 2], [9, 6, 6],
            [9, 7.6, nan],  # its best is worse than 7.5: it stops
            [9, 7.5, nan],  # not strictly worse
            [7, 20, nan],  # the best counts, not the latest
            [9.5, nan, nan],  # at the first look the median of 10, 6 and 9 is 9
            [9, nan, nan],
            [1, np.inf, nan],  # diverged
        ]
    )  # fmt: skip
    at = np.array([2, 2, 2, 1, 1, 1, 0, 0, 1], np.int32)
    finished, rule = np.arange(9) < 3, compiled(median_rule)
    stops = [False, False, False, True, False, False, True, False, True]
    assert rule(curves, at, 0, finished).tolist() == stops
    patient = [False, False, False, True, False, False, False, False, True]
    assert rule(curves, at, 1, finished).tolist() == patient
    nobody = np.zeros(9, bool)  # with nothing to compare with, only the diverged stop
    assert rule(curves, at, 0, nobody).tolist() == [False] * 8 + [True]


def score(config, epochs):
    return config["loss"] + np.exp(-config["pace"] * epochs)


def test_waves_looks_and_decisions(key):
    trials, _ = drive(median_stopping(12, max_epochs=5, interval=2, wave=4), SPACE, score, key)
    assert [t.epochs for t in trials[:12]] == [2] * 4 + [4] * 4 + [5] * 4  # the first wave is whole
    assert sum(t.parent < 0 for t in trials) == 12
    runs = {number: lineage(trials, number) for number in range(len(trials))}
    children = {t.parent for t in trials}
    for number, trial in enumerate(trials[12:], 12):
        later = trial.batch + 1
        known = [line for n, line in runs.items() if trials[n].epochs == 5 and trials[n].batch < later]
        looks = len(runs[number])
        means = [np.mean([trials[i].score for i in line[:looks]]) for line in known]
        best = min(trials[i].score for i in runs[number])
        assert (number not in children) == (best > np.median(means) or trial.epochs == 5)


@pytest.mark.full
@pytest.mark.notes("S1-51")
def test_most_of_the_cost_is_saved_and_the_best_is_not(key):
    slow = {"loss": uniform(0.0, 1.0)}
    trials, trained = drive(
        median_stopping(40, max_epochs=10, wave=10), slow, lambda c, e: c["loss"] + 0.3 / e, key
    )
    assert trained < 0.75 * 40 * 10
    best = min((t for t in trials if t.epochs == 10), key=lambda t: t.score)
    assert best.config["loss"] == min(t.config["loss"] for t in trials)


def test_the_diverged_stop_at_once_and_are_no_measure(key):
    def diverging(config, epochs):
        return np.nan if config["loss"] > 0.6 else config["loss"]

    trials, _ = drive(median_stopping(12, max_epochs=3, wave=6), SPACE, diverging, key)
    parents = [trials[t.parent] for t in trials if t.parent >= 0]
    assert any(np.isnan(t.score) for t in trials)
    assert not any(np.isnan(parent.score) for parent in parents)
    whole = [t for t in trials if t.epochs == 3]
    assert min(t.score for t in whole) == min(t.config["loss"] for t in trials)


@pytest.mark.full
def test_batches_in_part_make_the_same_decisions(key):
    strategy = median_stopping(8, max_epochs=3, wave=4)
    trials, _ = drive(strategy, SPACE, score, key, most=3)
    assert sum(t.parent < 0 for t in trials) == 8
    first = [t for t in trials if t.config in [trial.config for trial in trials[:3]]]
    assert len(first) == 9  # the first wave is never stopped


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"median_stopping\(wave\) is 0"):
        median_stopping(8, wave=0)


def test_nobody_is_judged_within_the_grace(key):
    def epochs(grace):
        strategy = median_stopping(8, max_epochs=4, interval=1, wave=4, grace=grace)
        return np.bincount([t.epochs for t in drive(strategy, SPACE, score, key)[0]])[1:].tolist()

    assert epochs(3) == [8, 8, 8, 8]  # the last look decides nothing
    *judged, last = epochs(2)
    assert judged == [8, 8, 8]
    assert last < 8
    assert epochs(0)[1] < 8

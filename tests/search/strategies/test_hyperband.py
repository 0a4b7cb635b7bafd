"""Hyperband: the table of the paper, and what its brackets cost and find."""

import collections

import pytest

from jaxopt_notes.search import hyperband, hyperband_brackets, uniform
from tests.search.curves import drive

SPACE = {"loss": uniform(0.0, 1.0)}


def test_the_table_of_the_paper():
    """Li et al. 2018, R = 81, η = 3: brackets s = 4 … 0, with n = ⌈5·3ˢ/(s + 1)⌉."""
    assert hyperband_brackets(81) == (
        ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
        ((34, 3), (11, 9), (3, 27), (1, 81)),
        ((15, 9), (5, 27), (1, 81)),
        ((8, 27), (2, 81)),
        ((5, 81),),
    )


def test_a_maximum_that_is_no_power_is_rounded_down():
    assert hyperband_brackets(10) == (((9, 1), (3, 3), (1, 10)), ((5, 3), (1, 10)), ((3, 10),))
    assert hyperband_brackets(8, eta=2, min_epochs=2)[0] == ((4, 2), (2, 4), (1, 8))


@pytest.mark.full
@pytest.mark.notes("S1-51")
def test_brackets_follow_one_another_and_share_the_budget(key):
    trials, _ = drive(hyperband(27), SPACE, lambda config, epochs: config["loss"] + 1 / epochs, key)
    rungs = [(len(rows), rows[0].epochs) for rows in by_batch(trials)]
    assert rungs == [rung for bracket in hyperband_brackets(27) for rung in bracket]
    fresh = collections.Counter(t.epochs for t in trials if t.parent < 0)
    assert fresh == {1: 27, 3: 12, 9: 6, 27: 4}
    costs = [sum(n * epochs for n, epochs in bracket) for bracket in hyperband_brackets(27)]
    assert max(costs) / min(costs) < 1.4  # about the same for all, counted from scratch as in the paper


@pytest.mark.full
def test_a_bracket_of_whole_runs_finds_what_short_runs_hide(key):
    """Curves that cross: the good ones start badly."""
    trials, _ = drive(hyperband(9), SPACE, lambda c, e: c["loss"] if e == 9 else 1 - c["loss"], key)
    best = min((t for t in trials if t.epochs == 9), key=lambda t: t.score)
    assert best.score == min(t.config["loss"] for t in trials[-3:])


@pytest.mark.full
def test_a_bracket_that_diverges_leaves_the_next_alone(key):
    trials, _ = drive(hyperband(9), SPACE, lambda c, e: float("nan") if e == 1 else c["loss"], key)
    rungs = [(len(rows), rows[0].epochs) for rows in by_batch(trials)]
    assert rungs == [(9, 1), (5, 3), (1, 9), (3, 9)]


def by_batch(trials):
    rows = collections.defaultdict(list)
    for trial in trials:
        rows[trial.batch].append(trial)
    return list(rows.values())


def test_another_share_and_another_shortest_run():
    """R = 8, from 2 on, η = 2: brackets s = 2, 1, 0 with ⌈3·2ˢ/(s + 1)⌉ trials."""
    expected = (((4, 2), (2, 4), (1, 8)), ((3, 4), (1, 8)), ((3, 8),))
    assert hyperband(8, eta=2, min_epochs=2).brackets == hyperband_brackets(8, 2, 2) == expected

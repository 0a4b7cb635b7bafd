"""ASHA: the rule of the paper, against a plain transcription of its algorithm, and by hand."""

import collections

import numpy as np
import pytest

from jaxopt_notes.search import asha, successive_halving, uniform
from tests.search.curves import drive

SPACE = {"loss": uniform(0.0, 1.0)}


def promotions(trials, eta, top):
    """What algorithm 2 of Li et al. 2020 says of each batch, in plain Python: parents, −1 for fresh ones."""
    said = []
    for batch in range(trials[-1].batch + 1):
        rungs = collections.defaultdict(list)
        depth = {}
        for i, trial in enumerate(trials):
            depth[i] = 0 if trial.parent < 0 else depth[trial.parent] + 1
            if trial.batch < batch:
                rungs[depth[i]].append((trial.score if np.isfinite(trial.score) else np.inf, i))
        done = {trial.parent for trial in trials if trial.batch < batch}
        promoted = []
        for k in range(top - 1, -1, -1):
            candidates = sorted(rungs[k])[: len(rungs[k]) // eta]
            promoted += [i for score, i in candidates if i not in done and np.isfinite(score)]
        size = sum(trial.batch == batch for trial in trials)
        said += (promoted + [-1] * size)[:size]
    return said


FULL = pytest.mark.full


@pytest.mark.parametrize("batch", [4, pytest.param(1, marks=FULL), pytest.param(8, marks=FULL)])
def test_every_batch_is_what_the_algorithm_says(key, batch):
    def score(config, epochs):  # noisy, so that early promotions are sometimes wrong; some diverge
        noise = np.random.default_rng(int(1e6 * config["loss"]) + epochs).normal()
        return np.nan if config["loss"] > 0.9 else config["loss"] + 0.3 * noise / epochs

    trials, _ = drive(asha(27, batch, max_epochs=9), SPACE, score, key)
    assert [trial.parent for trial in trials] == promotions(trials, eta=3, top=2)
    assert sum(trial.parent < 0 for trial in trials) == 27
    assert {trial.epochs for trial in trials} == {1, 3, 9}


def by_age(sign):
    """Scores by the age of a configuration: the first met is the best (1), or the worst (−1)."""
    ages = {}
    return lambda config, epochs: sign * ages.setdefault(config["loss"], len(ages))


def test_one_worker_by_hand(key):
    """One job at a time, η = 3, nine configurations, each worse than those before it.

    When three are scored the best of them goes on; with six it is two, with nine three; the three in
    rung 1 then send on their best.
    """
    trials, _ = drive(asha(9, 1, max_epochs=9), SPACE, by_age(1), key)
    assert [t.parent for t in trials] == [-1, -1, -1, 0, -1, -1, -1, 1, -1, -1, -1, 2, 3]
    assert [t.epochs for t in trials] == [1, 1, 1, 3, 1, 1, 1, 3, 1, 1, 1, 3, 9]


def test_promotions_in_error_by_hand(key):
    """Each better than those before it: every new one is the best third of what was seen, and goes on.

    After 3, 4 and 5 configurations one may be promoted, and it is another one each time; the third in
    rung 1 is its best at once. The synchronous rule would have promoted trials 6 and two later ones.
    """
    trials, _ = drive(asha(9, 1, max_epochs=9), SPACE, by_age(-1), key)
    assert [t.parent for t in trials[:9]] == [-1, -1, -1, 2, -1, 4, -1, 6, 7]
    assert [t.epochs for t in trials[:9]] == [1, 1, 1, 3, 1, 3, 1, 3, 9]
    assert sum(t.epochs == 3 for t in trials) > 9 // 3


@pytest.mark.full
def test_it_ends_as_successive_halving_does_where_nobody_is_promoted_in_error(key):
    """With the whole first rung in one batch the promotions are those of the synchronous rule."""
    score = lambda config, epochs: config["loss"]  # noqa: E731
    ours, trained = drive(asha(9, 9, max_epochs=9), SPACE, score, key)
    theirs, budget = drive(successive_halving(9, max_epochs=9), SPACE, score, key)
    assert ours == theirs
    assert trained == budget == 9 + 3 * 2 + 6


def test_batches_stay_full_while_there_are_fresh_configurations(key):
    trials, _ = drive(asha(20, 8, max_epochs=9), SPACE, lambda config, epochs: config["loss"], key)
    sizes = collections.Counter(trial.batch for trial in trials)
    last = max(trial.batch for trial in trials if trial.parent < 0)
    assert all(sizes[batch] == 8 for batch in range(last))


def test_an_end_that_is_no_power_of_eta(key):
    trials, _ = drive(asha(9, 9, max_epochs=5), SPACE, lambda config, epochs: config["loss"], key)
    assert [trial.epochs for trial in trials] == [1] * 9 + [3] * 3 + [5]


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"asha\(batch\) is 0"):
        asha(batch=0)
    with pytest.raises(TypeError, match=r"asha\(eta\) is 2.5"):
        asha(eta=2.5)


def test_another_shortest_run_and_another_share(key):
    """From 2 epochs on, doubled until 5 are reached; of every two the better goes on."""
    trials, _ = drive(asha(8, 4, min_epochs=2, max_epochs=5, eta=2), SPACE, by_age(-1), key)
    assert {trial.epochs for trial in trials} == {2, 4, 5}
    assert [trial.parent for trial in trials] == promotions(trials, eta=2, top=2)

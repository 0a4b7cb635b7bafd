"""Successive halving: rungs and budgets by hand, who goes on, and what happens to the diverged."""

import collections
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search import (
    equal_share_rungs,
    geometric_rungs,
    log_uniform,
    random_search,
    static_choice,
    successive_halving,
    uniform,
)
from tests.search.curves import drive, lineage

SPACE = {"loss": uniform(0.0, 1.0), "rate": log_uniform(1e-3, 1.0)}


def of_the_end(config, epochs):
    """Curves that never cross: the order after one epoch is that at the end."""
    return config["loss"] + 1 / epochs


def rungs_of(trials):
    return sorted(collections.Counter(trial.epochs for trial in trials).items())


def test_rungs_by_hand():
    assert geometric_rungs(27, 1, 27) == ((27, 1), (9, 3), (3, 9), (1, 27))
    assert geometric_rungs(10, 2, 16, eta=2) == ((10, 2), (5, 4), (2, 8), (1, 16))
    assert geometric_rungs(4, 1, 100, eta=2) == ((4, 1), (2, 2), (1, 4))  # nobody is left after that
    # Jamieson & Talwalkar 2016: B = 48 in ⌈log₂ 8⌉ = 3 rounds of 16 epochs: 8·2, 4·4, 2·8
    assert equal_share_rungs(8, 48) == ((8, 2), (4, 6), (2, 14))
    # B = 100, n = 5: 3 rounds, ⌊100/15⌋ = 6, ⌊100/6⌋ = 16, ⌊100/3⌋ = 33 more epochs for 5, 2 and 1
    assert equal_share_rungs(5, 100) == ((5, 6), (2, 22), (1, 55))


@pytest.mark.full
@pytest.mark.notes("S1-51")
def test_the_budget_is_what_the_rungs_say(key):
    """It ends when the budget is spent, and a run that goes on costs only its further epochs."""
    trials, trained = drive(successive_halving(27), SPACE, of_the_end, key)
    assert rungs_of(trials) == [(1, 27), (3, 9), (9, 3), (27, 1)]
    assert trained == 27 * 1 + 9 * 2 + 3 * 6 + 1 * 18 == 81
    trials, trained = drive(successive_halving(rungs=equal_share_rungs(8, 48)), SPACE, of_the_end, key)
    assert rungs_of(trials) == [(2, 8), (6, 4), (14, 2)]
    assert trained == 48


def test_the_best_of_each_rung_go_on_with_their_hyperparameters(key):
    trials, _ = drive(successive_halving(27), SPACE, of_the_end, key)
    for rung in (1, 2, 3):
        here = [i for i, trial in enumerate(trials) if trial.batch == rung]
        before = sorted((t.score, i) for i, t in enumerate(trials) if t.batch == rung - 1)
        assert [trials[i].parent for i in here] == [i for _, i in before[: len(here)]]
        assert all(trials[i].config == trials[trials[i].parent].config for i in here)
    assert trials[-1].config["loss"] == min(trial.config["loss"] for trial in trials)
    assert [trials[i].epochs for i in lineage(trials, len(trials) - 1)] == [1, 3, 9, 27]


@pytest.mark.full
def test_curves_that_cross_lose_the_one_that_is_best_in_the_end(key):
    """The short run is believed: that is what Hyperband hedges against."""
    trials, _ = drive(successive_halving(9, max_epochs=9), SPACE, lambda c, e: c["loss"] * (e - 5), key)
    assert trials[-1].config["loss"] == max(trial.config["loss"] for trial in trials)


def test_the_diverged_never_go_on(key):
    def score(config, epochs):
        return [np.nan, np.inf, -np.inf][hash(config["loss"]) % 3] if config["loss"] > 0.2 else config["loss"]

    trials, _ = drive(successive_halving(27), SPACE, score, key)
    fine = [trial for trial in trials[:27] if np.isfinite(trial.score)]
    assert 0 < len(fine) < 9
    assert rungs_of(trials) == [(1, 27), (3, len(fine)), (9, min(3, len(fine))), (27, 1)]
    trials, _ = drive(successive_halving(27), SPACE, lambda config, epochs: np.nan, key)
    assert rungs_of(trials) == [(1, 27)]


@pytest.mark.full
def test_batches_in_part_make_the_same_decisions(key):
    whole, _ = drive(successive_halving(27), SPACE, of_the_end, key)
    parts, _ = drive(successive_halving(27), SPACE, of_the_end, key, most=4)
    assert rungs_of(parts) == rungs_of(whole)
    best = sorted(trial.config["loss"] for trial in parts[:27])
    assert sorted(trial.config["loss"] for trial in parts[27:36]) == best[:9]


@pytest.mark.full
def test_it_is_traced_vmapped_and_resumed(key):
    """A whole search on the device; and one whose state went through a file at every step."""
    strategy = successive_halving(9, max_epochs=9)

    def search(key):
        state, columns = strategy.init(key, SPACE), []
        for i, n in enumerate((9, 3, 1)):
            configs, state = strategy.ask(state, jax.random.fold_in(key, i), n)
            state = strategy.tell(state, configs, configs["loss"] + 1 / configs["epochs"].astype(float))
            columns.append(configs)
        return columns

    keys = jax.random.split(key, 3)
    batched = jax.jit(jax.vmap(search))(keys)
    for i in range(3):
        trials, _ = drive(strategy, SPACE, of_the_end, keys[i])
        parents = [parent for rung in batched for parent in rung["parent"][i].tolist()]
        assert parents == [trial.parent for trial in trials]

    state = strategy.init(key, SPACE)
    resumed = pickle.loads(pickle.dumps(state))
    for i in range(3):
        configs, state = strategy.ask(state, jax.random.fold_in(key, i), strategy.remaining(state))
        again, resumed = strategy.ask(resumed, jax.random.fold_in(key, i), strategy.remaining(resumed))
        jax.tree.map(np.testing.assert_array_equal, configs, again)
        state = strategy.tell(state, configs, configs["loss"])
        resumed = pickle.loads(pickle.dumps(strategy.tell(resumed, again, again["loss"])))


@pytest.mark.full
def test_static_choices_are_continued_as_they_are(key):
    space = SPACE | {"width": static_choice([16, 32, 64])}
    trials, _ = drive(successive_halving(9, max_epochs=9), space, of_the_end, key)
    assert all(t.config["width"] == trials[t.parent].config["width"] for t in trials if t.parent >= 0)


def test_the_first_rung_is_random_search(key):
    configs, _ = successive_halving(9).ask(successive_halving(9).init(key, SPACE), key, 9)
    expected, _ = random_search(9).ask(random_search(9).init(key, SPACE), key, 9)
    for name, column in expected.items():
        np.testing.assert_array_equal(configs[name], column)


def test_errors_name_everything(key):
    with pytest.raises(ValueError, match=r"successive_halving\(max_epochs\) is 2"):
        successive_halving(9, min_epochs=3, max_epochs=2)
    with pytest.raises(ValueError, match=r"successive_halving\(eta\) is 1"):
        successive_halving(9, eta=1)
    with pytest.raises(ValueError, match=r"successive_halving\(rungs\) is \(\(3, 1\), \(9, 3\)\)"):
        successive_halving(rungs=((3, 1), (9, 3)))
    with pytest.raises(ValueError, match=r"equal_share_rungs\(budget\) is 10, expected at least 24"):
        equal_share_rungs(8, 10)
    strategy = successive_halving(9)
    state = strategy.init(key, SPACE)
    with pytest.raises(ValueError, match="asked for 10 configurations, 9 are wanted"):
        strategy.ask(state, key, 10)
    configs, state = strategy.ask(state, key, 9)
    assert strategy.remaining(state) == 0  # nothing can be decided before the scores are told
    assert strategy.remaining(strategy.tell(state, configs, jnp.arange(9.0))) == 3


def test_a_budget_is_shared_by_the_rungs_of_any_eta():
    """9 = 3²: two rungs, each of 36/2 epochs for 9 and for 3; 10 need a third."""
    assert equal_share_rungs(9, 36, eta=3) == ((9, 2), (3, 8))
    assert equal_share_rungs(10, 90, eta=3) == ((10, 3), (3, 13), (1, 43))

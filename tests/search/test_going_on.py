"""A finished sweep in a folder goes on: more trials, more seeds, more epochs; nothing is trained twice."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.record import record
from jaxopt_notes.search import Programs, bayesian, cma_es, halton, latin_hypercube, rounds, sobol

DATA = ((jnp.ones((4, 1)), jnp.ones(4)), (jnp.ones((2, 1)), jnp.ones(2)))
SPACE = {"rate": jn.uniform(0.1, 0.9)}


class State(NamedTuple):
    w: jax.Array


@record
class Shrink:
    """w ← w·(1 − rate) from a random w₀; the loss is w."""

    rate: Any

    def init(self, key, train_data):
        return State(1 + jax.random.uniform(key))

    def advance(self, state, train_data, valid_data, epochs):
        def epoch(w, _):
            w = w * (1 - self.rate)
            return w, w

        w, losses = jax.lax.scan(epoch, state.w, None, length=epochs)
        return State(w), {"valid_loss": losses}


def build(h):
    return Shrink(h["rate"])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Sweeps in one folder; `run.trained` is what each call has trained: (members, epochs)."""
    trained, train_members, programs = [], rounds.train_members, Programs()

    def spy(task, runs, members, epochs, **options):
        trained.append((len(members.keys), epochs))
        return train_members(task, runs, members, epochs, **options)

    monkeypatch.setattr(rounds, "train_members", spy)

    def call(strategy, seeds, epochs, folder=tmp_path / "run", **options):
        del trained[:]
        return jn.sweep(build, SPACE, DATA, strategy, seeds=seeds, epochs=epochs, key=jax.random.key(0),
                        folder=folder, progress=False, programs=programs, **options)  # fmt: skip

    call.trained = trained
    return call


def check(results, trials, seeds, epochs):
    """Every run is what the formula says, with one w₀ for each seed."""
    curve = results.history["valid_loss"]
    assert curve.shape == (trials, seeds, epochs)
    rate = np.asarray(results.columns["rate"], np.float64)[:, None, None]
    start = curve[:1, :, :1] / (1 - rate[:1])
    np.testing.assert_allclose(curve, start * (1 - rate) ** np.arange(1, epochs + 1), rtol=1e-5)
    assert len(np.unique(start)) == seeds
    np.testing.assert_array_equal(results.scores, curve[:, :, -1])


def test_more_seeds_begin_elsewhere(run):
    first = run(jn.random_search(2), 1, 1)
    more = run(jn.random_search(2), 2, 1)
    assert run.trained == [(2, 1)]
    np.testing.assert_array_equal(more.scores[:, :1], first.scores)
    check(more, 2, 2, 1)


@pytest.mark.full
@pytest.mark.parametrize("keep", [True, False])
def test_more_trials_then_seeds_then_epochs_then_all(run, keep):
    more = functools.partial(run, keep_states=keep)
    first = more(jn.random_search(3), 2, 2)
    assert run.trained == [(6, 2)]
    second = more(jn.random_search(5), 2, 2)
    assert run.trained == [(4, 2)]
    np.testing.assert_array_equal(second.scores[:3], first.scores)
    third = more(jn.random_search(5), 3, 2)
    assert run.trained == [(3, 2), (2, 2)]
    np.testing.assert_array_equal(third.scores[:, :2], second.scores)
    check(third, 5, 3, 2)
    fourth = more(jn.random_search(5), 3, 5)
    assert run.trained == ([(9, 3), (6, 3)] if keep else [(9, 5), (6, 5)])
    check(fourth, 5, 3, 5)
    np.testing.assert_array_equal(fourth.columns["rate"], third.columns["rate"])
    last = more(jn.random_search(6), 4, 6)
    assert run.trained == ([(9, 1), (3, 6), (6, 1), (2, 6), (4, 6)] if keep else [(12, 6), (8, 6), (4, 6)])
    check(last, 6, 4, 6)
    again = more(jn.random_search(6), 4, 6)
    assert run.trained == []
    np.testing.assert_array_equal(again.scores, last.scores)
    with pytest.raises(ValueError, match=r"seeds was 4 and is 3[^$]*may be larger than in the folder"):
        more(jn.random_search(6), 3, 6)


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(sobol, id="sobol"),
        pytest.param(halton, id="halton"),
        pytest.param(functools.partial(bayesian, batch=2, initial=2), id="bayesian", marks=pytest.mark.full),
        pytest.param(functools.partial(cma_es, population=2), id="cma_es", marks=pytest.mark.full),
    ],
)
def test_strategies_go_on_as_if_they_had_been_asked_for_all(run, tmp_path, strategy):
    run(strategy(4), 1, 1)
    results = run(strategy(6), 1, 1)
    assert sum(members for members, _ in run.trained) == 2
    whole = run(strategy(6), 1, 1, folder=tmp_path / "other")
    np.testing.assert_allclose(results.columns["rate"], whole.columns["rate"], rtol=1e-4)


def test_what_cannot_grow_is_refused_and_changes_nothing(run):
    run(latin_hypercube(4), 1, 1)
    with pytest.raises(ValueError, match="strategy was LatinHypercube"):
        run(latin_hypercube(6), 1, 1)
    assert run(latin_hypercube(4), 2, 1).scores.shape == (4, 2)


def test_a_search_that_chose_epochs_by_scores_does_not_take_more_seeds(run):
    halving = jn.successive_halving(4, min_epochs=1, max_epochs=2, eta=2)
    first = run(halving, 1, 2)
    with pytest.raises(ValueError, match="seeds = 1, and is asked for 2, but its strategy chose epochs"):
        run(halving, 2, 2)
    np.testing.assert_array_equal(run(halving, 1, 2).scores, first.scores)

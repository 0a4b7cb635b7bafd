"""Sweeps with a trainer small enough to follow by hand, and one with the real thing."""

import importlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import SealedTestSet
from jaxopt_notes.record import record, static
from jaxopt_notes.search import choice, grid_search, log_uniform, random_search, static_choice, sweep, uniform

DATA = ((jnp.ones((4, 1)), jnp.ones(4)), (jnp.ones((2, 1)), jnp.ones(2)))


class State(NamedTuple):
    w: jax.Array


@record
class Halving:
    """w ← w·(1 − rate) from w₀ = width + noise·U; the loss is |w|."""

    rate: Any
    noise: Any
    width: int = static()

    def init(self, key, train_data):
        return State(self.width * train_data[0][0, 0] + self.noise * jax.random.uniform(key))

    def advance(self, state, train_data, valid_data, epochs):
        def epoch(w, _):
            w = w * (1 - self.rate)
            return w, jnp.abs(w)

        w, losses = jax.lax.scan(epoch, state.w, None, length=epochs)
        return State(w), {"loss": losses, "valid_loss": losses, "valid_accuracy": 1 - losses}


def build(h):
    return Halving(h["rate"], h["noise"], h["width"])


SPACE = {"rate": choice([0.5, 0.25]), "width": static_choice([1, 2]), "noise": 0.0}


def run(space=SPACE, strategy=None, **options):
    options = {"epochs": 3, "key": jax.random.key(0), "progress": False} | options
    return sweep(build, space, DATA, strategy or grid_search(), **options)


@pytest.mark.notes("S1-40")
def test_scores_histories_and_groups():
    results = run(seeds=2)
    table = {
        (r, w): s
        for r, w, s in zip(*(results.columns[n] for n in ("rate", "width")), results.scores, strict=True)
    }
    for (rate, width), scores in table.items():
        np.testing.assert_allclose(scores, width * (1 - rate) ** 3, rtol=1e-6)
    assert results.best_config == {"rate": 0.5, "width": 1, "noise": 0.0}
    assert results.history["loss"].shape == (4, 2, 3)
    np.testing.assert_allclose(results.history["loss"][results.order[0]], [[0.5, 0.25, 0.125]] * 2, rtol=1e-6)
    assert len(results.reports) == 2  # one program for each width


def test_the_best_epoch_or_the_last():
    space = SPACE | {"rate": choice([3.0]), "width": 1}  # w ← −2w: every epoch is worse
    assert run(space).scores.item() == 2
    assert run(space, at="last").scores.item() == 8
    assert run(space, monitor="valid_accuracy", mode="max").scores.item() == -1


@pytest.mark.full
@pytest.mark.notes("S1-43")
def test_the_same_key_gives_the_same_table():
    space = {"rate": log_uniform(0.1, 0.9), "noise": uniform(0.0, 1.0), "width": static_choice([1, 2])}
    first = run(space, random_search(9), seeds=3)
    again = run(space, random_search(9), seeds=3, chunk_size=2, workers=1)
    assert first.table() == again.table()
    assert first.table() != run(space, random_search(9), seeds=3, key=jax.random.key(1)).table()


def test_seeds_are_the_same_draws_in_every_configuration():
    scores = run(SPACE | {"noise": 1.0, "rate": choice([0.5, 0.5]), "width": 1}, seeds=3, epochs=1).scores
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)
    assert len(np.unique(scores[0])) == 3


@pytest.mark.parametrize("progress", [True, False])
def test_diverged_members_rank_last_and_warn_of_nothing(progress):
    results = run(SPACE | {"rate": choice([np.nan, 0.5])}, chunk_size=1, progress=progress)
    assert results.diverged == 2
    assert results.best_config["rate"] == 0.5
    with pytest.warns(UserWarning, match="is not finite in the first epoch of any run"):
        assert run(SPACE | {"rate": choice([np.nan])}, progress=progress).diverged == 2


def test_chunks_arrive_with_their_configurations():
    seen, counts = {}, []

    def on_chunk(members, configs, out):
        for i, member in enumerate(members):
            seen[int(member)] = (float(configs["rate"][i]), float(out["score"][i]))

    results = run(seeds=3, on_chunk=on_chunk, progress=lambda done, total: counts.append((done, total)))
    assert sorted(seen) == list(range(12))
    for member, (rate, score) in seen.items():
        assert rate == results.columns["rate"][member // 3]
        assert score == results.scores[member // 3, member % 3]
    assert counts[-1] == (12, 12)


@pytest.mark.notes("S0-06")
def test_a_sealed_test_set_is_refused():
    with pytest.raises(TypeError, match="SealedTestSet"):
        sweep(build, SPACE, (DATA[0], SealedTestSet(DATA[1])), grid_search(), key=jax.random.key(0))
    with pytest.raises(TypeError, match=r"\(train, validation\)"):
        sweep(build, SPACE, (*DATA, DATA[1]), grid_search(), key=jax.random.key(0))


def test_a_folder_of_other_values_is_refused(tmp_path):
    """Arrays print as "float32[2]": the folder must know the numbers themselves."""
    run(SPACE | {"width": 1}, folder=tmp_path)
    with pytest.raises(ValueError, match="holds another run; what differs: space rate was"):
        run(SPACE | {"width": 1, "rate": choice([0.5, 0.125])}, folder=tmp_path)


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"sweep\(monitor\) is 'auc', expected one of loss, valid_accuracy"):
        run(monitor="auc")
    with pytest.raises(ValueError, match=r"sweep\(seeds\) is 0"):
        run(seeds=0)
    with pytest.raises(ValueError, match=r"sweep\(mode\) is 'best'"):
        run(mode="best")


def test_every_draw_has_a_key_of_its_own(monkeypatch):
    """Those of the strategy's start, of each of its rounds, and of each seed."""
    found = []

    class Stop(Exception):
        pass

    class Noted:
        def __init__(self, build, space, strategy, task, keys, *others):
            found.extend(keys)

        def run(self, strategy_key, ask_key):
            found.extend([strategy_key, ask_key(0), ask_key(1), ask_key(2)])
            raise Stop

    monkeypatch.setattr(importlib.import_module("jaxopt_notes.search.sweep"), "Rounds", Noted)
    with pytest.raises(Stop):
        run(seeds=3)
    seeds, others = found[:3], found[3:]
    children = [
        child for key in others for child in jax.random.split(key, 3)
    ]  # what a strategy may make of it
    keys = [tuple(jax.random.key_data(key).tolist()) for key in [*seeds, *others, *children]]
    assert len(set(keys)) == 3 + 4 + 12

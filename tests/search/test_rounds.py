"""Rounds of asking, training and telling: runs that go on, lineage, segments; numbers by hand."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.record import record, static
from jaxopt_notes.search import (
    Programs,
    asha,
    choice,
    log_uniform,
    population_based_training,
    random_search,
    static_choice,
    successive_halving,
    sweep,
    uniform,
)

TOY_DATA = ((jnp.ones((4, 1)), jnp.ones(4)), (jnp.ones((2, 1)), jnp.ones(2)))


class State(NamedTuple):
    w: jax.Array
    key: jax.Array


@record
class Shrink:
    """w ← w·(1 − rate) from w₀ = 1; the loss is |w|."""

    rate: Any
    width: int = static()

    def init(self, key, train_data):
        return State(jnp.full((self.width,), train_data[0][0, 0]), key)

    def advance(self, state, train_data, valid_data, epochs):
        def epoch(w, _):
            w = w * (1 - self.rate)
            return w, jnp.abs(w[0])

        w, losses = jax.lax.scan(epoch, state.w, None, length=epochs)
        return State(w, state.key), {"valid_loss": losses, "count": jnp.ones(epochs, int)}


def build(h):
    return Shrink(h["rate"], h["width"])


class Script:
    """A strategy that asks for given batches and writes down what it is told."""

    def __init__(self, *batches):
        self.batches, self.told = batches, []

    def init(self, key, space):
        return 0

    def remaining(self, state):
        return len(self.batches[state]["rate"]) if state < len(self.batches) else 0

    def ask(self, state, key, n):
        return {name: jnp.asarray(column) for name, column in self.batches[state].items()}, state

    def tell(self, state, configs, scores):
        self.told.append(np.asarray(scores).tolist())
        return state + 1


SPACE = {"rate": uniform(0.0, 1.0), "width": 1}
BATCHES = (
    {"rate": [0.5, 0.25, np.nan], "epochs": [1, 2, 2], "parent": [-1, -1, -1]},
    {"rate": [0.5, 0.75, 0.5], "epochs": [3, 2, 1], "parent": [1, 0, -1]},
    {"rate": [0.0, 3.0, 0.5], "epochs": [5, 3, 2], "parent": [3, 4, 4]},
)
# w after each trial: 1/2, 9/16, NaN; 9/32, 1/8, 1/2; 9/32, −1/4, 1/8 (nothing is left to train)
SCORES = [1 / 2, 9 / 16, np.nan, 9 / 32, 1 / 8, 1 / 2, 9 / 32, 1 / 4, 1 / 8]


@pytest.mark.parametrize("where", ["memory", "folder"])
@pytest.mark.parametrize("segment", [None, 1])
def test_runs_go_on_from_their_parents(where, segment, tmp_path):
    strategy = Script(*BATCHES)
    folder = tmp_path / "run" if where == "folder" else None
    results = sweep(build, SPACE, TOY_DATA, strategy, seeds=2, key=jax.random.key(0), at="last",
                    segment=segment, folder=folder, progress=False)  # fmt: skip
    np.testing.assert_allclose(results.scores, np.repeat(SCORES, 2).reshape(-1, 2), rtol=1e-6)
    np.testing.assert_allclose(np.concatenate(strategy.told), SCORES, rtol=1e-6)
    assert results.columns["parent"].tolist() == [-1, -1, -1, 1, 0, -1, 3, 4, 4]
    assert results.columns["epochs"].tolist() == [1, 2, 2, 3, 2, 1, 5, 3, 2]
    assert results.lineage(6) == [1, 3, 6]
    assert results.lineage(5) == [5]
    curve = results.history["valid_loss"]
    assert curve.shape == (9, 2, 5)
    np.testing.assert_allclose(curve[6, 1], [3 / 4, 9 / 16, 9 / 32, 9 / 32, 9 / 32], rtol=1e-6)
    np.testing.assert_allclose(curve[7, 0], [1 / 2, 1 / 8, 1 / 4, np.nan, np.nan], rtol=1e-6)
    assert results.history["count"].dtype.kind == "i"
    if where == "folder":
        again = sweep(build, SPACE, TOY_DATA, Script(*BATCHES), seeds=2, key=jax.random.key(0), at="last",
                      segment=segment, folder=folder, progress=False)  # fmt: skip
        np.testing.assert_array_equal(again.scores, results.scores)
        assert again.reports == ()  # nothing was trained


def test_the_best_of_a_run_is_that_of_its_whole_line_and_signs_are_for_minimizing():
    strategy = Script(*BATCHES)
    results = sweep(build, SPACE, TOY_DATA, strategy, key=jax.random.key(0), mode="max", progress=False)
    np.testing.assert_allclose(
        results.scores[:, 0], [0.5, 0.75, np.nan, 0.75, 0.5, 0.5, 0.75, 0.5, 0.5], rtol=1e-6
    )
    np.testing.assert_allclose(np.concatenate(strategy.told), -results.scores[:, 0], rtol=1e-6)


def test_what_cannot_be_continued_is_said():
    fresh = {"rate": [0.5], "epochs": [2], "parent": [-1]}
    run = lambda *batches, **k: sweep(build, SPACE | k, TOY_DATA, Script(*batches), key=jax.random.key(0))  # noqa: E731
    with pytest.raises(ValueError, match="continues trial 1, expected -1 or an earlier one of 1"):
        run(fresh, {"rate": [0.5], "epochs": [3], "parent": [1]})
    with pytest.raises(ValueError, match="until 1 epochs in all that has had 2"):
        run(fresh, {"rate": [0.5], "epochs": [1], "parent": [0]})
    with pytest.raises(ValueError, match="continues trial 0 with another structure"):
        run(fresh | {"width": [0]}, {"rate": [0.5], "epochs": [3], "parent": [0], "width": [1]},
            width=static_choice([1, 2]))  # fmt: skip


def test_static_choices_are_told_apart_in_every_round():
    space = SPACE | {"width": static_choice([1, 3])}
    strategy = Script(
        {"rate": [0.5, 0.25, 0.5], "width": [1, 0, 0], "epochs": [1, 1, 1], "parent": [-1, -1, -1]},
        {"rate": [0.5, 0.5], "width": [0, 1], "epochs": [2, 2], "parent": [1, 0]},
    )
    results = sweep(build, space, TOY_DATA, strategy, key=jax.random.key(0), progress=False)
    np.testing.assert_allclose(results.scores[:, 0], [1 / 2, 3 / 4, 1 / 2, 3 / 8, 1 / 4], rtol=1e-6)
    assert results.columns["width"].tolist() == [3, 1, 1, 1, 3]


X = jax.random.normal(jax.random.key(1), (64, 5))
Y = jnp.asarray(jnp.sum(X[:, :3], axis=1) > 0, int)
DATA = ((X[:40], Y[:40]), (X[40:], Y[40:]))


def network(h):
    return jn.Trainer(
        jn.mlp([8, 2], dropout=h["dropout"]), jn.adam(h["rate"]), jn.softmax_cross_entropy, batch_size=8,
        early_stopping=jn.patience(h["patience"]),
    )  # fmt: skip


REAL = {"rate": log_uniform(1e-3, 1.0), "dropout": uniform(0.0, 0.5), "patience": choice([2, 3, np.inf])}


@pytest.mark.full
def test_segments_change_nothing_and_train_fewer():
    """Bit for bit; what stopped is left out of the groups that follow."""
    options = {"seeds": 3, "epochs": 12, "key": jax.random.key(0), "progress": False, "programs": Programs()}
    whole = sweep(network, REAL, DATA, random_search(9), **options)
    cut = sweep(network, REAL, DATA, random_search(9), segment=3, **options)
    np.testing.assert_array_equal(whole.scores, cut.scores)
    for name, curve in whole.history.items():
        np.testing.assert_array_equal(curve, cut.history[name], err_msg=name)
    trained = [report.members for report in cut.reports]
    assert trained[0] == 27
    assert sorted(trained, reverse=True) == trained
    assert trained[-1] < 20


def test_diverged_members_are_left_out_and_stay_as_they_were():
    space = SPACE | {"rate": choice([0.5, np.inf, 1e30])}  # infinite at once; overflows in epoch 2
    options = {"epochs": 4, "key": jax.random.key(0), "progress": False}
    whole = sweep(build, space, TOY_DATA, jn.grid_search(), **options)
    cut = sweep(build, space, TOY_DATA, jn.grid_search(), segment=1, **options)
    assert [report.members for report in cut.reports] == [3, 2, 1, 1]
    np.testing.assert_array_equal(whole.history["valid_loss"], cut.history["valid_loss"])
    assert whole.diverged == cut.diverged == 2


@pytest.mark.full
def test_halving_is_a_random_search_that_ends_early():
    """The last rung's run is that of a sweep that trains its configuration from the start, bit for bit."""
    space = REAL | {"patience": np.inf}
    options = {"seeds": 2, "key": jax.random.key(2), "progress": False, "batch_size": 4}
    halved = sweep(network, space, DATA, successive_halving(4, min_epochs=2, max_epochs=8, eta=2), **options)
    assert halved.columns["epochs"].tolist() == [2] * 4 + [4] * 2 + [8]
    line = halved.lineage(6)
    assert len(line) == 3
    config = {name: halved.columns[name][line[0]] for name in ("rate", "dropout")}
    fixed = {name: choice([value]) for name, value in config.items()} | {"patience": np.inf}
    whole = sweep(network, fixed, DATA, jn.grid_search(), epochs=8, chunk_size=4, **options)
    np.testing.assert_allclose(halved.history["valid_loss"][6], whole.history["valid_loss"][0], rtol=1e-5)


@pytest.mark.full
@pytest.mark.parametrize(
    "strategy", [asha(6, batch=3, max_epochs=4, eta=2), population_based_training(4, 3, 2)]
)
def test_strategies_that_continue_runs_end(strategy):
    programs = Programs()
    results = sweep(network, REAL | {"patience": np.inf}, DATA, strategy, key=jax.random.key(0), at="last",
                    progress=False, programs=programs)  # fmt: skip
    parent, epochs = results.columns["parent"], results.columns["epochs"]
    assert ((parent < np.arange(len(parent))) & (parent >= -1)).all()
    assert (epochs[parent >= 0] > epochs[parent[parent >= 0]]).all()
    assert np.isfinite(results.scores).all()
    assert len(programs) == 2  # runs that begin, and runs that go on, whatever the epochs


@pytest.mark.full
@pytest.mark.parametrize("part", ["round-0000", "round-0001", "states-0000-000"])
def test_damaged_rounds_and_states_are_trained_again(part, tmp_path):
    run = lambda: sweep(  # noqa: E731
        build, SPACE, TOY_DATA, Script(*BATCHES), key=jax.random.key(0), folder=tmp_path, progress=False
    )
    whole = run()
    path = tmp_path / f"{part}.part"
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "round-0002.part").unlink()  # so that the states of earlier rounds are wanted
    again = run()
    np.testing.assert_array_equal(again.scores, whole.scores)
    for name, curve in whole.history.items():
        np.testing.assert_array_equal(again.history[name], curve)
    assert path.exists()
    assert path.with_name(path.name + ".damaged").exists()
    with pytest.raises(
        ValueError, match=r"space rate was Uniform\(low=0.0, high=1.0\) and is Uniform\(low=0.0, high=2"
    ):
        sweep(build, SPACE | {"rate": uniform(0.0, 2.0)}, TOY_DATA, Script(*BATCHES), key=jax.random.key(0),
              folder=tmp_path, progress=False)  # fmt: skip


def test_runs_that_begin_and_runs_that_go_on_share_the_program_of_their_epochs(monkeypatch):
    """An epoch is traced for the shapes of its entries and for the one loop, whatever the rungs."""
    traces, advance = [], Shrink.advance

    def counted(self, state, *data_and_epochs):
        traces.append(jnp.shape(self.rate))
        return advance(self, state, *data_and_epochs)

    monkeypatch.setattr(Shrink, "advance", counted)
    strategy, key = successive_halving(8, max_epochs=4, eta=2), jax.random.key(0)
    options = {"progress": False, "batch_size": 2, "chunk_size": 2, "workers": 1}
    sweep(build, SPACE, TOY_DATA, strategy, key=key, **options)
    assert len(traces) == 2

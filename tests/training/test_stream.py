"""Batches from outside: the same run as on arrays, resumed in the middle of an epoch bit for bit."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import epoch_batches
from jaxopt_notes.optimizers import adam
from jaxopt_notes.training import Trainer, fit, load, patience, save
from tests.compiled import compiled
from tests.training.linear import Linear, regression, squared

X, Y = regression(10)
VALID = regression(6, seed=1)
TRAINER = Trainer(Linear(0.0, 0.1), adam(0.05), squared, metric=squared, batch_size=4)


def batches(epoch=0, n=10, size=4):
    """Batches in an order that depends on the epoch alone; the last one is smaller."""
    order = np.random.default_rng(epoch).permutation(n)
    return [(X[rows], Y[rows]) for rows in np.split(order, range(size, n, size))]


class Reader:
    """An endless iterator that says where it is, as those of grain do."""

    def __init__(self):
        self.position = 0

    def __next__(self):
        epoch, step = divmod(self.position, 3)
        self.position += 1
        return batches(epoch)[step]

    def __iter__(self):
        return self

    def get_state(self):
        return {"position": self.position}

    def set_state(self, state):
        self.position = state["position"]


def assert_same(one, other):
    one, other = (jax.tree.map(np.asarray, tree._replace(key=())) for tree in (one, other))
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.fixture(scope="module")
def whole():
    return fit(TRAINER, jax.random.key(0), batches, VALID, epochs=4)


@pytest.mark.notes("S0-01")
def test_batches_in_the_order_of_arrays_make_the_same_run():
    """Without noise, whose keys are of steps that nobody has counted; the last batch is smaller."""
    key = jax.random.key(0)
    trainer = Trainer(Linear(), adam(0.05), squared, metric=squared, batch_size=4, early_stopping=patience(2))
    expected = fit(trainer, key, (X, Y), VALID, epochs=3)
    run_key, batches = trainer.init(key, (X, Y)).key, compiled(epoch_batches)

    def in_order(epoch):
        order, _ = jax.random.split(jax.random.fold_in(run_key, epoch))
        for rows, weights in zip(*map(np.asarray, batches(order, 10, 4)), strict=True):
            rows = rows[weights == 1]
            yield X[rows], Y[rows]

    found = fit(trainer, key, in_order, VALID, epochs=3)
    assert found.history.keys() == expected.history.keys()
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(found.params["w"], expected.params["w"], rtol=1e-5)
    assert (found.best_epoch, int(found.state.step)) == (expected.best_epoch, int(expected.state.step))
    assert found.evaluate(VALID).keys() == expected.evaluate(VALID).keys()


@pytest.mark.notes("S0-01")
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_run_goes_on_in_the_middle_of_an_epoch_bit_for_bit(tmp_path, whole, steps):
    """Through a file, after a crash at any step: whatever is begun anew is read again up to there."""
    key, path = jax.random.key(0), tmp_path / "run.npz"
    seen = []

    def crash(state, history):
        save(path, state)
        seen.append(int(state.step))
        if state.step >= 7:
            raise RuntimeError("the machine has stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fit(TRAINER, key, batches, VALID, epochs=4, callback=crash, steps_per_call=steps)
    assert seen == sorted(seen)
    like = fit(TRAINER, key, batches, epochs=0).state
    state = load(path, like)
    assert int(state.partial.position) == int(state.step) - 3 * int(state.epoch)
    rest = fit(TRAINER, key, batches, VALID, epochs=4 - int(state.epoch), state=state)
    assert_same(rest.state, whole.state)
    np.testing.assert_array_equal(rest.history["loss"], whole.history["loss"][int(state.epoch) :])


@pytest.mark.notes("S0-01")
def test_an_iterator_goes_on_where_its_own_state_says(whole):
    key, saved = jax.random.key(0), []
    reader = Reader()

    def callback(state, history):
        saved.append((state, reader.get_state()))
        return len(saved) == 4

    cut = fit(TRAINER, key, reader, VALID, epochs=4, callback=callback, steps_per_epoch=3, steps_per_call=2)
    state, position = saved[-1]
    assert position["position"] == int(state.step)  # nothing is read ahead
    assert len(cut.history["loss"]) == int(state.epoch)
    other = Reader()
    other.set_state(position)
    rest = fit(TRAINER, key, other, VALID, epochs=4 - int(state.epoch), state=state, steps_per_epoch=3)
    assert_same(rest.state, whole.state)


def test_iterables_are_begun_anew_and_iterators_are_not(whole):
    key = jax.random.key(0)
    one = fit(TRAINER, key, batches(), VALID, epochs=2)
    assert len(one.history["loss"]) == 2
    ends = iter(batches())
    with pytest.warns(UserWarning, match=r"iterator that has ended after 1 epochs, 1 fewer"):
        assert len(fit(TRAINER, key, ends, epochs=2).history["loss"]) == 1
    with pytest.raises(ValueError, match=r"gave no batch, expected"):
        fit(TRAINER, key, iter([]), epochs=2)
    with pytest.raises(TypeError, match=r"gave a batch that is a ndarray, expected \(x, y\)"):
        fit(TRAINER, key, iter([X]), epochs=2)
    with pytest.raises(ValueError, match=r"steps_per_call\) are for an iterator"):
        fit(TRAINER, key, (X, Y), epochs=2, steps_per_call=2)


def test_examples_may_have_weights(key):
    """Those of weight 0 are as if they were not there."""
    trainer = Trainer(Linear(), adam(0.05), squared, metric=None)
    weights = np.array([1, 1, 0, 1], np.float32)
    spoilt = np.where(weights[:, None] == 0, 1e3, X[:4]).astype(np.float32)
    found = fit(trainer, key, [(spoilt, Y[:4], weights)], epochs=3)
    expected = fit(trainer, key, [(X[[0, 1, 3]], Y[[0, 1, 3]])], epochs=3)
    np.testing.assert_allclose(found.params["w"], expected.params["w"], rtol=1e-5)
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=1e-5)


def test_no_more_batches_are_read_than_steps_are_on_their_way(key):
    """An endless source ends with the run, and the smaller last batch needs no other program."""
    read = itertools.count()
    source = ((X[:4] + next(read) * 0, Y[:4]) for _ in itertools.count())
    fit(TRAINER, key, source, epochs=2, steps_per_epoch=5)
    assert next(read) == 10
    assert jnp.isfinite(fit(TRAINER, key, batches, epochs=1).history["loss"]).all()


def test_every_step_draws_noise_of_its_own(key):
    """One batch again and again, and a rate of 0: losses differ by their noise alone."""
    trainer = Trainer(Linear(1.0, 1.0), adam(0.0), squared, metric=None)
    losses, before = [], 0.0

    def callback(state, _):
        nonlocal before
        sum_ = float(state.partial.loss)
        losses.append(sum_ - before if state.partial.position > 1 else sum_)
        before = sum_

    fit(trainer, key, [(X, Y)] * 5, epochs=1, callback=callback, steps_per_call=1)
    assert len({round(loss, 3) for loss in losses[:5]}) == 5

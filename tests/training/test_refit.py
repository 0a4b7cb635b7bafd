"""Refitting by Goodfellow's algorithms 7.2 and 7.3, against loops in NumPy."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.training.early_stopping import patience
from jaxopt_notes.training.fit import fit
from jaxopt_notes.training.refit import continue_on_all, refit_on_all
from jaxopt_notes.training.trainer import Trainer
from tests.training.linear import Counting, Linear, squared


def problem():
    """A second feature, small in training and with the other sign: learning it is over-fitting."""
    x, sign = np.linspace(-1, 1, 8), np.array([1.0, 1, -1, -1] * 2)
    train = np.stack([x, 0.1 * sign], 1), x - 0.1 * sign
    other = np.array([1.0, -1, 1, -1])
    valid = np.stack([x[::2], other], 1), x[::2] + 0.3 * other
    return tuple(tuple(np.float32(part) for part in pair) for pair in (train, valid))


def losses(w, b, x, y):
    return np.mean((x @ w + b - y) ** 2)


def descend(w, b, x, y, rate):
    residual = x @ w + b - y
    return w - rate * 2 * x.T @ residual / len(y), b - rate * 2 * np.mean(residual)


def trainer(**changes):
    return Trainer(Linear(), sgd(0.1), squared, **{"metric": None, "batch_size": 100} | changes)


@pytest.mark.notes("S4-01", "X-06")
def test_both_algorithms_are_their_loops(key):
    train, valid = problem()
    (x, y), everything = train, [np.concatenate(pair) for pair in zip(train, valid, strict=True)]
    w, b, path = np.zeros(2), 0.0, []
    for _ in range(40):
        w, b = descend(w, b, x, y, 0.1)
        path.append((losses(w, b, *valid), losses(w, b, x, y), w, b))
    best = min(range(40), key=lambda t: path[t][0])
    assert 3 < best < 30

    first = fit(trainer(early_stopping=patience(2)), key, train, valid, epochs=40, epochs_per_call=40)
    assert first.best_epoch == best + 1
    again = refit_on_all(first, key, train, valid)
    w, b = np.zeros(2), 0.0
    for _ in range(best + 1):
        w, b = descend(w, b, *everything, 0.1)
    np.testing.assert_allclose([*again.params["w"], again.params["b"]], [*w, b], rtol=1e-4, atol=1e-6)
    assert again.trainer.early_stopping is None

    further = continue_on_all(first, key, train, valid, epochs=60)
    _, target, w, b = path[best]
    steps = 0
    while losses(w, b, *valid) > target and steps < 60:
        w, b = descend(w, b, *everything, 0.1)
        steps += 1
    assert 0 < steps < 60
    assert further.state.stopped
    assert further.state.epoch == steps
    np.testing.assert_allclose([*further.params["w"], further.params["b"]], [*w, b], rtol=1e-4, atol=1e-6)


@pytest.mark.notes("S4-01", "X-06")
@pytest.mark.parametrize(
    ("keep", "steps"), [("updates", 4), pytest.param("epochs", 6, marks=pytest.mark.full)]
)
def test_updates_or_epochs_are_kept(keep, steps, key):
    """Two of three epochs' updates are one epoch of all data, and a third of another."""
    train, valid = problem()
    counting = dataclasses.replace(trainer(batch_size=4), model=Counting())
    result = refit_on_all(counting, key, train, valid, 2, keep)
    seen = int(result.state.step), int(result.model_state["seen"]), len(result.history["loss"])
    assert seen == (steps, 4 * steps, 2)
    assert result.best_epoch == 2


@pytest.mark.full
def test_the_steps_of_an_epoch_in_part_are_in_the_history(key):
    """5 updates of 4 examples are an epoch of 3 steps and one of 2: steps by hand, NaN for the third."""
    train, valid = problem()
    short = trainer(batch_size=4, history_every=1)
    found = refit_on_all(short, key, train, valid, best_epoch=2, keep="updates")
    assert int(found.state.step) == 4
    loss = found.history["step_loss"]
    assert loss.shape == (2, 3)
    np.testing.assert_array_equal(np.isnan(loss), [[0, 0, 0], [0, 1, 1]])
    np.testing.assert_allclose(np.nanmean(loss, axis=1), found.history["loss"], rtol=1e-6)
    other = tuple(part[:5] for part in train)  # two steps in place of three, and three again
    on = fit(short, key, train, state=fit(short, key, other, epochs=1).state, epochs=1)
    assert on.history["step_loss"].shape == (1, 2)


def test_what_is_low_enough_already_is_left_as_it_is(key):
    train, valid = problem()
    first = fit(trainer(), key, valid, (train[0] * 0, train[1] * 0), epochs=1)
    further = continue_on_all(first, key, valid, (train[0] * 0, train[1] * 0))
    assert further.state.stopped
    assert further.state.epoch == 0
    jax.tree.map(np.testing.assert_array_equal, further.params, first.params)


@pytest.mark.full
def test_what_is_frozen_and_what_has_no_weight_stay_out(key):
    train, valid = problem()
    frozen = trainer(trainable={"w": True, "b": False}, early_stopping=patience(2))
    first = fit(frozen, key, train, valid, epochs=12)
    again = continue_on_all(first, key, train, valid, epochs=3)
    assert again.params["b"] == 0
    assert (again.params["w"] != first.params["w"]).all()
    odd = [np.concatenate([of, 9 + of]) for of in (*train, np.ones(8, np.float32))]
    odd[2][8:] = 0
    same = continue_on_all(first, key, tuple(odd), valid, epochs=3)  # which has no weights: 1 each
    np.testing.assert_allclose(same.params["w"], again.params["w"], rtol=1e-5)


def test_errors_say_what_is_wrong(key):
    train, valid = problem()
    with pytest.raises(ValueError, match=r"refit_on_all\(best_epoch\) is 0, .* no epoch was better"):
        refit_on_all(trainer(), key, train, valid, 0)
    with pytest.raises(ValueError, match=r"refit_on_all\(keep\) is 'steps'"):
        refit_on_all(trainer(), key, train, valid, 3, "steps")
    with pytest.raises(TypeError, match=r"refit_on_all\(best_epoch\) is None"):
        refit_on_all(trainer(), key, train, valid)

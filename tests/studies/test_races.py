"""Races over seeds: optimizers on a straight line, activations in a deep network."""

import numpy as np
import pytest

from jaxopt_notes.studies import activation_race, curve_race, linear_race


@pytest.mark.full
@pytest.mark.notes("X-03")
def test_who_comes_first_on_a_straight_line(key):
    """Not who the notes say: gradient descent at 0.5 is first, and rescaling ends on a higher floor."""
    found = linear_race(key, seeds=16, epochs=25)
    steps = dict(zip(found.runners, np.median(found.steps, axis=1), strict=True))
    assert steps["sgd"] < steps["nesterov"] < steps["momentum"] < steps["rmsprop"] < steps["adadelta"]
    assert steps["sgd"] < steps["adam"] < steps["rmsprop"]
    floor = dict(zip(found.runners, np.median(found.excess[:, :, -60:], axis=(1, 2)), strict=True))
    assert min(floor["adam"], floor["rmsprop"]) > 1.5 * floor["sgd"] > 1.5 * floor["nesterov"]
    assert floor["sgd"] < 0.005


@pytest.mark.full
@pytest.mark.notes("X-04")
def test_who_comes_first_on_a_curve(key):
    """Momentum at 0.1 is in the long run a step of 0.1/(1 − 0.9) = 1, beside gradient descent's 0.3."""
    found = curve_race(key, seeds=5, epochs=160, goal=0.0085)
    epochs = dict(zip(found.runners, np.median(found.epochs, axis=1), strict=True))
    assert epochs["momentum"] < 0.6 * epochs["sgd"]
    assert epochs["nesterov"] < 0.6 * epochs["sgd"]
    assert 0.75 < epochs["nesterov"] / epochs["momentum"] < 1.25


@pytest.mark.full
@pytest.mark.notes("S1-08", "S1-19")
def test_sigmoid_is_the_slow_one(key):
    """Steps to the target, each activation at its best of five rates."""
    pytest.importorskip("sklearn")
    found = activation_race(key, seeds=4, steps=300)
    relu, tanh, sigmoid = (np.median(found.steps[i, rate]) for i, rate in enumerate(found.best))
    assert max(relu, tanh) < 0.5 * sigmoid
    assert max(relu, tanh) < 150

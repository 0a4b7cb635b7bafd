"""The race of figure 15-8: z = x²/10 + y² from (−7, 2), 20 steps, with the notes' rates and numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import evaluation_params
from jaxopt_notes.problems import elliptic_bowl
from jaxopt_notes.studies.contour_race import runners
from tests.optimizers.runs import descend

RUNNERS = runners()
slope = jax.grad(elliptic_bowl())


def race(name):
    """The 21 points (x, y) of a runner; for Nesterov those to evaluate, which the notes draw."""
    optimizer = RUNNERS[name]
    start = jnp.array([-7.0, 2.0])
    held, states = descend(optimizer, slope, start, 20)
    points = jax.vmap(lambda p, s: evaluation_params(optimizer, p, s))(held, states)
    return np.asarray(points)


@pytest.mark.notes("S2-53", "S2-27", "S2-33", "S2-37", "S2-42", "S2-45")
@pytest.mark.parametrize(
    ("name", "step", "point", "digits"),
    [
        ("sgd", 20, (-0.103466, 0.243153), 6),
        ("momentum", 1, (-6.86, 1.6), 12),
        ("momentum", 2, (-6.5968, 0.92), 12),
        ("momentum", 3, (-6.227984, 0.124), 12),
        ("momentum", 20, (1.894699, -0.698505), 6),
        ("nesterov", 1, (-6.86, 1.6), 12),
        ("nesterov", 2, (-6.59932, 0.992), 12),
        ("nesterov", 3, (-6.23741384, 0.35584), 12),
        ("nesterov", 20, (1.36225, -0.07164), 5),
        ("adagrad", 20, (-3.66442, 0.05646), 5),
        ("adadelta", 1, (-6.99, 1.99), 4),
        ("rmsprop", 1, (-5.41886, 0.41886), 5),
        ("rmsprop", 20, (-0.048305, 0.0), 6),
        ("adam", 20, (0.947672, 0.486306), 6),
    ],
)
def test_points(name, step, point, digits, x64):
    np.testing.assert_allclose(race(name)[step], point, rtol=0, atol=0.51 * 10.0**-digits)


@pytest.mark.notes("S2-53")
def test_closed_form_of_gradient_descent(x64):
    """−7·0.81²⁰ and 2·(−0.9)²⁰."""
    np.testing.assert_allclose(race("sgd")[20], [-7 * 0.81**20, 2 * (-0.9) ** 20], rtol=1e-12)


@pytest.mark.notes("S2-53")
@pytest.mark.parametrize(
    ("name", "value"), [("sgd", 0.060194), ("momentum", 0.846898), ("rmsprop", 2.333e-4), ("adam", 0.326302)]
)
def test_heights_reached(name, value, x64):
    assert float(elliptic_bowl()(race(name)[20])) == pytest.approx(value, rel=2e-4, abs=6e-7)


@pytest.mark.notes("S2-54")
@pytest.mark.parametrize(
    ("name", "flips", "length"),
    [("sgd", 20, 34.2), ("rmsprop", 15, 7.67), ("momentum", 3, 12.3), ("adam", 2, 9.27)],
)
def test_zigzags_and_lengths(name, flips, length, x64):
    """How often y changes sign, and how long the path is."""
    points = race(name)
    assert np.sum(np.diff(np.sign(points[:, 1])) != 0) == flips
    total = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    assert total == pytest.approx(length, abs=0.5 * 10.0 ** -(len(str(length).split(".")[1])))


@pytest.mark.notes("S2-54")
def test_later_steps_of_rmsprop_are_shorter(x64):
    steps = np.linalg.norm(np.diff(race("rmsprop"), axis=0), axis=1)
    assert (np.diff(steps[1:]) <= 0).all()


@pytest.mark.notes("S2-46")
def test_rmsprop_damps_the_direction_that_oscillates(x64):
    """After ten steps y still swings by 0.7 under SGD, and hardly at all under RMSProp."""
    swing = {name: abs(race(name)[10:, 1]).max() for name in ("sgd", "rmsprop")}
    assert swing["rmsprop"] < 0.01 * swing["sgd"]

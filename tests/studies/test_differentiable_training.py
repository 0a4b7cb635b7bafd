"""Hyperparameters tuned through a run: the slopes are right, the loss falls, memory grows with √steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search import training_score
from jaxopt_notes.studies.differentiable_training import (
    START,
    build,
    curve,
    differentiable_training,
    hyperparameters,
    memory,
)


@pytest.mark.full
def test_every_slope_agrees_with_finite_differences(x64, key):
    score = training_score(build, curve(key, 5), 3)
    run = jax.jit(jax.value_and_grad(lambda point: score(point, key)))
    point = {name: jnp.asarray(value) for name, value in START.items()}
    _, slopes = run(point)
    for name, value in point.items():
        above, below = (run(point | {name: value + step})[0] for step in (1e-5, -1e-5))
        np.testing.assert_allclose(slopes[name], (above - below) / 2e-5, rtol=1e-5, atol=1e-12, err_msg=name)


@pytest.mark.full
def test_two_hundred_steps_end_lower_with_the_numbers_found(key):
    tuned = differentiable_training(key)
    assert np.isfinite(tuned.losses).all()
    assert tuned.losses[-1] < 0.5 * tuned.losses[0]
    assert all(tuned.found[name] != tuned.start[name] for name in START)
    assert [row["number"] for row in tuned.rows()] == ["validation loss", *START]
    tuned.plot()


@pytest.mark.full
def test_memory_grows_with_the_root_of_the_steps():
    """Without the part that does not grow: four times the steps, two times the memory; else four times."""
    sides = np.array([5, 10, 20, 40])
    for checkpoint, expected in ((True, 0.5), (False, 1.0)):
        found = np.array([memory(int(n), checkpoint=checkpoint) for n in sides**2])
        growth = np.diff(found)
        slopes = np.diff(np.log(growth)) / np.log(4)
        np.testing.assert_allclose(slopes, expected, atol=0.1)


@pytest.mark.full
def test_memory_at_four_hundred_steps():
    assert memory(400, checkpoint=False) > 10 * memory(400, checkpoint=True)


def test_steps_that_are_no_square():
    with pytest.raises(ValueError, match=r"memory\(steps\) is 200, expected a square number"):
        memory(200, checkpoint=True)


def test_what_is_tuned_may_be_any_real_number(x64):
    """Logarithms, and the log-odds of the momentum."""
    found = hyperparameters({"rate": -2.0, "momentum": 1.0, "scale": 0.5})
    expected = {"rate": np.exp(-2), "momentum": 1 / (1 + np.exp(-1)), "scale": np.exp(0.5)}
    assert found == pytest.approx(expected, rel=1e-12)
    expected = {"rate": 0.01, "momentum": 0.5, "rate_decay": 0.01, "weight_decay": 1e-4, "scale": 0.1}
    assert hyperparameters(START) == pytest.approx(expected)

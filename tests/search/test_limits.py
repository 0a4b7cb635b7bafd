"""A search ends at its target, when its time is spent, or when nothing improves: between batches."""

import jax
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.search.limits import AT_ONCE, Limits, check_limits
from tests.search.test_feedback import DATA, SPACE, build


def run(**limits):
    return jn.sweep(
        build, SPACE, DATA, jn.sobol(64), epochs=1, key=jax.random.key(0), progress=False, at="last", **limits
    )


def test_a_sweep_ends_between_batches(tmp_path):
    """Scores are the distances of Sobol points from (0.3, 0.6): some of 16 are within 0.3, none is a new
    best for ever, and a sweep that goes on in the folder has what it would have had."""
    short = run(target=0.3, folder=tmp_path)
    assert len(short) == AT_ONCE
    assert short.score_mean.min() <= 0.3
    assert len(run(seconds=1e-6)) == AT_ONCE  # what is begun is finished
    patient = run(patience=20, folder=tmp_path)
    best = int(np.argmin(patient.score_mean))
    assert len(patient) < 64
    assert len(patient) % AT_ONCE == 0
    assert len(patient) - AT_ONCE < best + 20 < len(patient)
    np.testing.assert_array_equal(patient.score_mean[:AT_ONCE], short.score_mean)


def test_what_is_reached():
    limits = Limits(0.5, None, 3, 0.0)
    assert limits.reached([]) is None
    assert limits.reached([0.9, np.nan, 0.8]) is None
    assert limits.reached([np.nan, 0.5]) == "trial 1 has met the target"
    assert limits.reached([0.9, 0.8, 0.8, np.inf, 0.8]) == "the last 3 trials were no better than trial 1"
    upwards = check_limits("sweep", 0.9, None, None, ["max"])  # costs are what is maximized times -1
    assert upwards.reached([-0.5, -0.8]) is None
    assert upwards.reached([-0.5, -0.95]) == "trial 1 has met the target"
    assert Limits(None, 1e-6, None, 0.0).reached([1.0]).endswith("of 1e-06 seconds are spent")
    assert Limits(None, 1e-6, None, np.inf).reached([1.0]) is None
    assert [Limits(None, None, None, 0.0).batch(99), limits.batch(99), limits.batch(3)] == [99, AT_ONCE, 3]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"target": "low"}, r"sweep\(target\) is 'low'"),
        ({"seconds": 0}, r"sweep\(seconds\) is 0"),
        ({"patience": 0}, r"sweep\(patience\) is 0"),
    ],
)
def test_wrong_limits_are_named(limits, message):
    with pytest.raises((TypeError, ValueError), match=message):
        run(**limits)

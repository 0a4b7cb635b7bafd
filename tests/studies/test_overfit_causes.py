"""Few samples, noise, shifted inputs, long training: each opens the gap. Wide networks are fast."""

import numpy as np
import pytest

from jaxopt_notes.studies import overfit_causes, width_and_speed


@pytest.mark.notes("S2-57")
def test_each_cause_opens_the_gap(key):
    found = overfit_causes(key, seeds=24)
    gap = dict(zip(found.causes, np.median(found.gap, axis=1), strict=True))
    for cause in ("few samples", "noise", "shifted inputs"):
        assert gap[cause] > 3 * gap["none"] > 0
    assert gap["long training"] > 3 * gap["few samples"]
    train, test = np.median(found.by_steps, axis=1)
    assert (np.diff(train) <= 1e-6).all()
    assert test.min() < 0.7 * min(test[0], test[-1])  # U-shaped over the steps
    assert len(found.table().splitlines()) == 6


@pytest.mark.notes("S2-58")
def test_the_wider_the_faster_up_to_a_point(key):
    """4 units never arrive, 8 need twice the steps of 16, and more units than that save none."""
    found = width_and_speed(key, seeds=6, steps=700)
    needed = np.median(found.steps, axis=1)
    assert needed[0] > needed[1] > 1.3 * needed[2:].max()
    assert np.median(found.losses[0, :, -1]) > 5 * np.median(found.losses[4, :, -1])

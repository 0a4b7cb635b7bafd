"""Raw features: which weight is slow, and what neighbours see."""

import numpy as np
import pytest

from jaxopt_notes.studies import feature_scaling


@pytest.mark.full
@pytest.mark.notes("S4-56", "S4-57", "S4-58")
def test_the_weight_of_the_small_feature_is_the_slow_one(key):
    """Var(area)/Var(rooms) is (999/9)²; the notes say that the weight of the area is slow."""
    found = feature_scaling(key, seeds=5, examples=100, steps=100)
    raw, scaled = np.median(found.condition, axis=1)
    np.testing.assert_allclose(raw, (999 / 9) ** 2, rtol=0.3)
    assert scaled < 1.7
    assert (found.steps[0] == 101).all()
    assert (found.steps[1] < 20).all()
    rooms, area = np.median(found.left[0, :, -1], axis=0)
    assert rooms > 0.95 > 0.1 > area
    without, with_it = np.median(found.accuracy, axis=1)
    assert without < 0.6 < 0.75 < with_it
    np.testing.assert_allclose(found.largest_rate[0], 2 / (999**2 / 12), rtol=0.3)
    assert len(found.plot().axes) == 3

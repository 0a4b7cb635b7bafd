"""Where one hyperparameter matters, random trials try more values of it than a grid of the same size."""

import numpy as np
import pytest

from jaxopt_notes.studies import grid_or_random


@pytest.mark.notes("S1-46")
def test_random_trials_find_better_from_two_dimensions_on(key):
    """With one value to choose the grid is the better of the two; P(no draw within ±0.1) is about 0.8ⁿ."""
    found = grid_or_random(key, seeds=1000)
    np.testing.assert_array_equal(found.values, [[3, 3, 3, 3], [3, 9, 27, 81]])
    better = (found.best[1] > found.best[0]).mean(axis=1)
    assert better[0] < 0.5 < 0.6 < better[1] < better[2] < better[3]
    np.testing.assert_allclose(found.best[0], found.best[0][:1].repeat(4, axis=0))
    missed = np.mean(found.best[1] < np.exp(-0.5), axis=1)
    np.testing.assert_allclose(missed[:2], [0.81**3, 0.81**9], atol=0.07)
    assert len(found.table().splitlines()) == 5
    found.plot()

"""Bias falls and variance grows, in training and with capacity; stopping early needs to know neither."""

import numpy as np
import pytest

from jaxopt_notes.studies import bias_variance_tradeoff


@pytest.mark.full
@pytest.mark.notes("S2-61", "S2-62")
def test_the_sum_is_least_in_between(key):
    found = bias_variance_tradeoff(key, seeds=3, sets=16, epochs=1800)
    bias, variance, total, stopped = (
        np.median(part, axis=-1) for part in (found.bias_squared, found.variance, found.total, found.stopped)
    )
    widest = total[-1]
    assert 0 < widest.argmin() < len(widest) - 1
    assert widest[-1] > 1.1 * widest.min()
    assert bias[-1, -1] < 0.1 * bias[-1, 0]
    assert variance[-1, -1] > 1.5 * variance[-1, widest.argmin()] > 1.5 * variance[-1, 0]
    at_the_end = total[:, -1]
    assert 0 < at_the_end.argmin() < len(at_the_end) - 1
    assert (np.diff(bias[:3, -1]) < 0).all()
    assert variance[-1, -1] > 2 * variance[0, -1]
    assert stopped[-1] < 0.95 * at_the_end[-1]
    assert stopped[-1] < 1.1 * total.min()
    assert len(found.plot().axes) == 3

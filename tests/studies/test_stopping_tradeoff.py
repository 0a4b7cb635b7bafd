"""Slower criteria train longer and keep no higher validation loss; what they gain on other data."""

import numpy as np
import pytest

from jaxopt_notes.studies import stopping_tradeoff


@pytest.mark.full
@pytest.mark.notes("S4-08")
def test_slower_criteria_train_longer_and_give_up_less(key):
    """Within a family exactly so for every run, on the data it is chosen by; on the test set on average."""
    found = stopping_tradeoff(key, seeds=5, epochs=100, width=16)
    at = {name: i for i, name in enumerate(found.criteria)}
    assert len(at) == 14
    for family in ("GL", "PQ", "UP"):
        own = [i for name, i in at.items() if name.startswith(family)]
        assert (np.diff(found.stop_epoch[own], axis=0) >= 0).all()
        assert (np.diff(found.valid_loss[own], axis=0) <= 1e-6).all()
    # What is kept is the epoch of least validation loss until then, and its test loss is that epoch's.
    _, valid, test = found.curves
    for run, (stop, kept) in enumerate(zip(found.stop_epoch.T, found.test_loss.T, strict=True)):
        best = [np.argmin(valid[run, :t]) for t in stop]
        np.testing.assert_allclose(kept, test[run, best], rtol=1e-6)
    time, loss = (ratio.mean(axis=1) for ratio in found.ratios)
    assert time[at["UP 8"]] > 1.5 * time[at["UP 2"]]
    assert loss[at["UP 8"]] <= loss[at["UP 2"]]
    assert len(found.plot().axes) == 2

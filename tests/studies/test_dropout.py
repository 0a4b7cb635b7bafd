"""Dropout's readings: over all masks, and in networks that are trained at several rates."""

import numpy as np
import pytest

from jaxopt_notes.studies import dropout_masks, dropout_rates


@pytest.mark.full
@pytest.mark.notes("S0-26", "S0-28", "S4-47")
def test_which_readings_are_exact(key):
    """The geometric mean for softmax regression, the penalty for least squares; neither for anything else."""
    found = dropout_masks(key, seeds=12, units=5)
    assert found.geometric[0].max() < 1e-5
    assert np.median(found.geometric[1:], axis=1).min() > 0.01
    assert np.median(found.arithmetic, axis=1).min() > 0.01
    np.testing.assert_allclose(found.squares, 1, rtol=1e-3)
    off = np.median(np.abs(found.logistic - 1), axis=1)
    assert (np.diff(off) > 0).all()
    assert off[0] < 0.02 < 0.05 < off[-1]
    assert len(found.table().splitlines()) == 19


@pytest.mark.full
@pytest.mark.notes("S0-26", "S0-27", "S3-42", "S4-47", "S4-49", "S4-51")
def test_what_training_with_dropout_does(key):
    """Medians over networks; the correlation of units, which the notes let fall, stays where it was."""
    found = dropout_rates(key, seeds=4)
    means = np.median(found.averaged / found.test_loss[:, None, None], axis=-1)[1:]
    arithmetic, geometric = means.swapaxes(0, 1)
    assert (np.diff(arithmetic, axis=1) < 0.01).all()  # the more sub-networks, the better
    assert (arithmetic[:, -1] > [1.05, 1.2, 1.5]).all()
    np.testing.assert_allclose(geometric[:, -1], 1, atol=0.06)
    assert (np.median(found.unscaled / found.test_loss, axis=1)[2:] > 1.1).all()
    noise, halved, alike = (
        np.median(part, axis=1) for part in (found.noise, found.halved, found.coadaptation)
    )
    assert (np.diff(noise) > 0).all()
    assert (halved[1:] < 0.6 * halved[0]).all()
    assert (alike[1:] > 0.9 * alike[0]).all()
    fresh, fixed = np.median(found.rises, axis=-1).T
    assert (fixed == 0).all()
    assert fresh[0] == 0
    assert fresh[1:].min() > 0.25
    assert len(found.plot().axes) == 3

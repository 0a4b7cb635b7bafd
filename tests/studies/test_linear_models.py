"""Ridge under its four names, and what penalties do to features that say the same."""

import numpy as np
import pytest

from jaxopt_notes.studies import correlated_features, ridge_readings


@pytest.mark.notes("S4-36", "S2-79", "X-02", "S4-45")
def test_ridge_is_a_posterior_and_weight_decay_and_nearly_early_stopping(key):
    """Goodfellow et al. 2016, section 7.8: alike for weak directions, and never more than 0.204 apart."""
    found = ridge_readings(key, seeds=3, steps=3000)
    for way, tolerance in ((found.posterior, 1e-4), (found.decayed, 1e-2)):
        np.testing.assert_allclose(way, found.ridge, rtol=tolerance, atol=1e-3)
    ratio = found.spectrum[:, None, :] / found.strengths[None, :, None]
    np.testing.assert_allclose(found.kept, ratio / (1 + ratio), rtol=1e-3)
    assert np.abs(found.kept - found.kept_stopped).max() < 0.21
    weak = ratio < 0.05
    np.testing.assert_allclose(found.kept_stopped[weak], ratio[weak], rtol=0.06)
    norms = np.linalg.norm(found.ridge, axis=-1)
    assert (np.diff(norms, axis=1) < 0).all()
    assert len(found.table().splitlines()) == 8
    found.plot()


@pytest.mark.notes("S4-43", "S4-42", "S1-71", "S2-67")
def test_the_lasso_picks_one_of_two_features_and_ridge_shares(key):
    """The notes have it reversed. Zou & Hastie 2005, theorem 1, bounds the elastic net's difference."""
    found = correlated_features(key, steps=300)
    ridge, lasso, net = range(3)
    assert found.imbalance[lasso] > 3 * max(found.imbalance[ridge], found.imbalance[net])
    assert found.instability[lasso] > 3 * max(found.instability[ridge], found.instability[net])
    assert found.one_dropped[lasso] > 0.05
    assert found.one_dropped[ridge] == found.one_dropped[net] == 0
    assert found.useless_dropped[ridge] == 0
    assert min(found.useless_dropped[lasso], found.useless_dropped[net]) > 0.7
    both = found.weights[lasso, :, :2]
    assert (both[:, 0] > both[:, 1]).any()
    assert (both[:, 0] < both[:, 1]).any()
    found.plot()

"""Scores made fit for a Gaussian process: scaled, with bad ones clipped and diverged ones in their place."""

import numpy as np
import pytest

from jaxopt_notes.search.surrogates.fitting import FITTED, fit_scores, standardize
from jaxopt_notes.search.surrogates.gaussian_process import (
    gaussian_process,
    log_marginal_likelihood,
)


def test_scores_have_mean_0_and_variance_1():
    want = np.array([1.0, 2.0, 4.0, 3.0])
    y, scale = standardize(want)
    np.testing.assert_allclose(y, (want - 2.5) / want.std(), rtol=1e-12)
    np.testing.assert_allclose(scale, want.std(), rtol=1e-12)


def test_what_diverged_counts_as_the_worst_and_outliers_are_clipped():
    diverged, _ = standardize(np.array([1.0, 2.0, 3.0, np.inf, 2.0]))
    np.testing.assert_allclose(diverged, standardize(np.array([1.0, 2.0, 3.0, 3.0, 2.0]))[0])
    # 2 + 5·(2 − 1) = 7 is the limit
    huge, _ = standardize(np.array([1.0, 2.0, 3.0, 1e30, 2.0]))
    np.testing.assert_allclose(huge, standardize(np.array([1.0, 2.0, 3.0, 7.0, 2.0]))[0], rtol=1e-12)


def test_nothing_known_and_nothing_different_are_zeros():
    for scores in (np.full(3, np.inf), np.full(3, 5.0), np.zeros(0)):
        y, scale = standardize(scores)
        np.testing.assert_array_equal(y, np.zeros(len(scores)))
        assert scale == 1


@pytest.mark.full
def test_the_fit_looks_at_a_few_scores_of_many():
    """Of 500 scores 128, evenly: the process that they make likely has learnt what matters."""
    x = np.random.default_rng(0).random((600, 2))
    y, _ = standardize(np.sin(6 * x[:, 0]) + 0.1 * x[:, 1])
    start = gaussian_process(np.ones(2), 1.0, 1e-3)
    found = fit_scores((start, start), x[:500], y[:500], (0, 1))
    assert found.lengthscale.shape == (2,)
    assert found.lengthscale[1] > 2 * found.lengthscale[0]
    some = np.arange(FITTED) * 500 // FITTED
    likely = [log_marginal_likelihood(gp, x[some], y[some]) for gp in (start, found)]
    assert likely[1] > likely[0] + 50


def test_noise_does_not_take_all_of_the_variance():
    """Ten scores of pure noise in six dimensions: some of it is taken for signal, so that there is hope."""
    rng = np.random.default_rng(0)
    start = gaussian_process(np.ones(6), 1.0, 1e-3)
    for _ in range(5):
        y, _ = standardize(rng.normal(size=20))
        found = fit_scores((start, start), rng.random((20, 6)), y, tuple(range(6)))
        assert found.amplitude > 0.1
        assert found.noise < found.amplitude


def test_of_three_scores_length_scales_are_what_was_thought_before():
    """They say next to nothing: whatever the start, a fit ends about a whole range, the prior's center."""
    x, y = np.random.default_rng(0).random((3, 6)), np.array([1.2, -1.0, -0.2])
    for start in (0.1, 1.0, 10.0):
        gp = gaussian_process(np.full(6, start), 1.0, 1e-3)
        found = fit_scores((gp,), x, y, tuple(range(6)))
        assert np.abs(np.log(found.lengthscale)).max() < 0.7
        assert 0.3 < found.amplitude < 3

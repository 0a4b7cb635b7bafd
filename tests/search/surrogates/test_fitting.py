"""Scores made fit for a Gaussian process: scaled, with bad ones clipped and diverged ones in their place."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search.surrogates.fitting import FITTED, fit_scores, standardize
from jaxopt_notes.search.surrogates.gaussian_process import (
    gaussian_process,
    log_marginal_likelihood,
)


def test_scores_have_mean_0_and_variance_1_where_seen():
    scores = jnp.array([1.0, 2.0, 4.0, 3.0, 9.0, 9.0])
    seen = jnp.arange(6) < 4
    y, scale = standardize(scores, seen)
    want = np.array([1.0, 2.0, 4.0, 3.0])
    np.testing.assert_allclose(y, [*(want - 2.5) / want.std(), 0, 0], rtol=1e-6)
    np.testing.assert_allclose(scale, want.std(), rtol=1e-6)


def test_what_diverged_counts_as_the_worst_and_outliers_are_clipped():
    seen = jnp.ones(5, bool)
    diverged, _ = standardize(jnp.array([1.0, 2.0, 3.0, jnp.inf, 2.0]), seen)
    np.testing.assert_allclose(diverged, standardize(jnp.array([1.0, 2.0, 3.0, 3.0, 2.0]), seen)[0])
    # 2 + 5·(2 − 1) = 7 is the limit
    huge, _ = standardize(jnp.array([1.0, 2.0, 3.0, 1e30, 2.0]), seen)
    np.testing.assert_allclose(huge, standardize(jnp.array([1.0, 2.0, 3.0, 7.0, 2.0]), seen)[0], rtol=1e-6)


def test_nothing_known_and_nothing_different_are_zeros():
    for scores in (jnp.full(3, jnp.inf), jnp.full(3, 5.0)):
        y, scale = standardize(scores, jnp.ones(3, bool))
        np.testing.assert_array_equal(y, jnp.zeros(3))
        assert scale == 1
    np.testing.assert_array_equal(standardize(jnp.full(3, jnp.inf), jnp.zeros(3, bool))[0], jnp.zeros(3))


@pytest.mark.full
def test_the_fit_looks_at_a_few_scores_of_many(x64):
    """Of 500 scores 128, evenly: the process that they make likely has learnt what matters."""
    x = jnp.asarray(np.random.default_rng(0).random((600, 2)))
    y, _ = standardize(jnp.sin(6 * x[:, 0]) + 0.1 * x[:, 1], jnp.ones(600, bool))
    start = gaussian_process(np.ones(2), 1.0, 1e-3)
    found = fit_scores((start, start), x, y, jnp.asarray(500), (0, 1))
    assert found.lengthscale.shape == (2,)
    assert found.lengthscale[1] > 2 * found.lengthscale[0]
    some = np.arange(FITTED) * 500 // FITTED
    likely = [log_marginal_likelihood(gp, x[some], y[some]) for gp in (start, found)]
    assert likely[1] > likely[0] + 50


def test_the_prior_of_length_scales_grows_with_the_root_of_their_number(monkeypatch):
    """Hvarfner et al. 2024: log ℓ ~ N(√2 + log(d)/2, √3²); d counts dimensions, not their features."""
    priors = []

    def noted(gp, x, y, seen, *, groups, prior):
        priors.append(prior)
        return gp

    monkeypatch.setattr("jaxopt_notes.search.surrogates.fitting.fit", noted)
    x, y = jnp.ones((3, 4)), jnp.arange(3.0)
    for groups, d in (((0, 0, 1, 1), 2), ((0, 1, 2, 3), 4), ((0, 0, 0, 0), 1)):
        start = gaussian_process(jnp.ones(4), jnp.array(1.0), jnp.array(1e-3), jnp.array(0.0))
        fit_scores((start, start), x, y, jnp.asarray(3), groups)
        np.testing.assert_allclose(priors[-1], [2**0.5 + np.log(d) / 2, 3**0.5], rtol=1e-12)

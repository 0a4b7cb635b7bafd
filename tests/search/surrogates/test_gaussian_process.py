"""Gaussian processes against scikit-learn and closed forms."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from jaxopt_notes.record import replace
from jaxopt_notes.search.surrogates.gaussian_process import (
    LogNormal,
    Prior,
    believe,
    condition,
    fit,
    follow,
    forecast,
    gaussian_process,
    log_marginal_likelihood,
    predict,
    predict_slopes,
)

ELL, AMPLITUDE, NOISE = np.array([0.3, 0.8, 2.0]), 1.7, 3e-3
PEER = {"rbf": RBF(ELL), "matern52": Matern(ELL, nu=2.5)}


def data(n=25, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, d))
    return x, np.sin(5 * x[:, 0]) + x[:, 1] ** 2 + 0.05 * rng.normal(size=n)


@pytest.mark.parametrize("kernel", PEER)
@pytest.mark.notes("S1-48")
def test_posterior_and_likelihood_are_scikit_learns(kernel):
    (x, y), points = data(), np.random.default_rng(1).random((40, 3))
    peer = GaussianProcessRegressor(ConstantKernel(AMPLITUDE) * PEER[kernel], alpha=NOISE, optimizer=None)
    peer.fit(x, y - 0.4)
    want_mean, want_std = peer.predict(points, return_std=True)
    gp = gaussian_process(ELL, AMPLITUDE, NOISE, mean=0.4, kernel=kernel)
    mean, std = predict(condition(gp, x, y), points)
    np.testing.assert_allclose(mean, want_mean + 0.4, rtol=0, atol=1e-8)
    np.testing.assert_allclose(std, want_std, rtol=1e-8, atol=1e-8)
    likelihood = log_marginal_likelihood(gp, x, y)
    np.testing.assert_allclose(likelihood, peer.log_marginal_likelihood_value_, rtol=1e-10)


@pytest.mark.notes("S1-48")
def test_two_observations_in_closed_form():
    """K = [[a, c], [c, a]] is inverted by hand; without noise the posterior goes through both."""
    gp = gaussian_process([0.7], 2.0, noise=0.0, kernel="rbf")
    x, y, p = np.array([[0.0], [1.0]]), np.array([1.0, -0.5]), 0.3
    k = lambda r: 2.0 * np.exp(-(r**2) / (2 * 0.49))  # noqa: E731
    a, c, b = 2.0, k(1.0), np.array([k(p), k(1 - p)])
    inverse = np.array([[a, -c], [-c, a]]) / (a * a - c * c)
    mean, std = predict(condition(gp, x, y), np.array([[p], [0.0], [1.0]]))
    np.testing.assert_allclose(mean, [b @ inverse @ y, 1.0, -0.5], rtol=1e-12)
    np.testing.assert_allclose(std, [np.sqrt(2.0 - b @ inverse @ b), 0, 0], rtol=1e-12, atol=1e-7)


@pytest.mark.notes("S1-49")
def test_data_never_add_uncertainty_and_observed_points_keep_less_than_the_noise():
    (x, y), points = data(), np.random.default_rng(1).random((40, 3))
    gp, before = gaussian_process(ELL, AMPLITUDE, NOISE), np.inf
    for n in (1, 2, 5, 10, 25):
        posterior = condition(gp, x[:n], y[:n])
        std = predict(posterior, points)[1]
        assert (std <= before + 1e-12).all()
        assert (predict(posterior, x[:n])[1] ** 2 <= NOISE).all()
        before = std
    one = predict(condition(gp, x[:1], y[:1]), x[:1])[1][0]
    np.testing.assert_allclose(one**2, AMPLITUDE * NOISE / (AMPLITUDE + NOISE), rtol=1e-9)


@pytest.mark.parametrize("kernel", PEER)
def test_slopes_are_those_of_mean_and_deviation(kernel):
    """Central differences; at a point observed without noise the deviation is 0, and so its slope."""
    (x, y), points, step = data(), np.random.default_rng(1).random((7, 3)), 1e-5
    posterior = condition(gaussian_process(ELL, AMPLITUDE, NOISE, 0.2, kernel), x, y)
    mean, std, mean_slope, std_slope = predict_slopes(posterior, points)
    np.testing.assert_allclose([mean, std], predict(posterior, points), rtol=1e-12)
    for j in range(3):
        ahead, behind = (predict(posterior, points + sign * step * np.eye(3)[j]) for sign in (1, -1))
        np.testing.assert_allclose(
            mean_slope[:, j], (ahead[0] - behind[0]) / (2 * step), rtol=1e-5, atol=1e-7
        )
        np.testing.assert_allclose(std_slope[:, j], (ahead[1] - behind[1]) / (2 * step), rtol=1e-4, atol=1e-6)
    exact = condition(gaussian_process(ELL, 1.0, 0.0, 0.0, kernel), x[:1], y[:1])
    np.testing.assert_array_equal(predict_slopes(exact, x[:1])[3], np.zeros((1, 3)))


def test_to_believe_is_to_observe():
    """Adding a value in O(n²) is conditioning anew; adding the mean leaves the mean alone."""
    (x, y), points = data(10), np.random.default_rng(1).random((40, 3))
    gp, new = gaussian_process(ELL, AMPLITUDE, NOISE, mean=0.2), np.array([0.1, 0.9, 0.4])
    first = condition(gp, x, y)
    mean = predict(first, new[None])[0][0]
    for value in (mean, 2.5):
        again = condition(gp, np.vstack([x, new]), np.append(y, value))
        added = believe(first, new, value)
        followed = follow(added, forecast(first, points))
        for got, want in zip(predict(added, points), predict(again, points), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9)
        want = predict(again, points)
        np.testing.assert_allclose([followed.mean, np.sqrt(followed.variance)], want, rtol=1e-9)
    unmoved = predict(believe(first, new, mean), points)[0]
    np.testing.assert_allclose(unmoved, predict(first, points)[0], rtol=1e-9)


@pytest.mark.filterwarnings(
    "ignore:The optimal value found"
)  # a length scale without an end: a dimension off
def test_fitted_hyperparameters_are_as_likely_as_scikit_learns():
    x, y = data(40)
    y = (y - y.mean()) / y.std()
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(np.ones(3), (5e-3, 50), nu=2.5)
    peer = GaussianProcessRegressor(kernel + WhiteKernel(1e-2, (1e-6, 1)), alpha=0).fit(x, y)
    found, value = fit(gaussian_process(np.ones(3), 1.0, 1e-2), x, y)
    assert value > peer.log_marginal_likelihood_value_ - 0.01  # it has a mean besides
    np.testing.assert_allclose(value, log_marginal_likelihood(found, x, y), rtol=1e-10)
    assert found.lengthscale[2] > 3 * found.lengthscale[0]  # y does not depend on the third
    for name in ("mean", "noise", "amplitude", "lengthscale"):  # none of them improves it
        here = getattr(found, name)
        for other in (here * 1.02 + 1e-3 * (name == "mean"), here / 1.02 - 1e-3 * (name == "mean")):
            if name != "lengthscale":
                assert log_marginal_likelihood(replace(found, **{name: other}), x, y) <= value + 1e-6
        if name == "lengthscale":
            shorter = replace(found, lengthscale=here * np.array([0.97, 1, 1]))
            assert log_marginal_likelihood(shorter, x, y) < value


def test_grouped_columns_share_a_length_scale_and_a_prior_holds_it():
    x, y = data(20)
    start = gaussian_process(np.ones(3), 1.0, 1e-2)
    found, _ = fit(start, x, y, groups=(0, 1, 1))
    assert found.lengthscale[1] == found.lengthscale[2] != found.lengthscale[0]
    narrow = Prior(LogNormal(-1.0, 1e-3), LogNormal(0.5, 1e-3), LogNormal(-3.0, 1e-3))
    held, value = fit(start, x, y, prior=narrow)
    np.testing.assert_allclose(held.lengthscale, np.exp(-1.0), rtol=1e-2)
    np.testing.assert_allclose([held.amplitude, held.noise], np.exp([0.5, -3.0]), rtol=1e-2)
    z = (np.log([*held.lengthscale, held.amplitude, held.noise]) - [-1, -1, -1, 0.5, -3]) / 1e-3
    np.testing.assert_allclose(value, log_marginal_likelihood(held, x, y) - z @ z / 2, rtol=1e-6)


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"gaussian_process\(lengthscale\) is 0"):
        gaussian_process([1.0, 0.0])
    with pytest.raises(ValueError, match=r"gaussian_process\(kernel\) is 'cubic'"):
        gaussian_process([1.0], kernel="cubic")

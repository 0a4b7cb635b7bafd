"""Gaussian processes against scikit-learn and closed forms, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from jaxopt_notes.search.surrogates import gaussian_process as module
from jaxopt_notes.search.surrogates.gaussian_process import fit, gaussian_process

believe, condition, predict = jax.jit(module.believe), jax.jit(module.condition), jax.jit(module.predict)
log_marginal_likelihood = jax.jit(module.log_marginal_likelihood)

ELL, AMPLITUDE, NOISE = np.array([0.3, 0.8, 2.0]), 1.7, 3e-3
PEER = {"rbf": RBF(ELL), "matern52": Matern(ELL, nu=2.5)}


def data(n=25, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, d))
    return x, np.sin(5 * x[:, 0]) + x[:, 1] ** 2 + 0.05 * rng.normal(size=n)


@pytest.mark.parametrize("kernel", PEER)
@pytest.mark.notes("S1-48")
def test_posterior_and_likelihood_are_scikit_learns(kernel, x64):
    (x, y), points = data(), np.random.default_rng(1).random((40, 3))
    peer = GaussianProcessRegressor(ConstantKernel(AMPLITUDE) * PEER[kernel], alpha=NOISE, optimizer=None)
    peer.fit(x, y - 0.4)
    want_mean, want_std = peer.predict(points, return_std=True)
    gp = gaussian_process(ELL, AMPLITUDE, NOISE, mean=0.4, kernel=kernel)
    mean, std = predict(condition(gp, jnp.asarray(x), jnp.asarray(y)), jnp.asarray(points))
    np.testing.assert_allclose(mean, want_mean + 0.4, rtol=0, atol=1e-8)
    np.testing.assert_allclose(std, want_std, rtol=1e-8, atol=1e-8)
    likelihood = log_marginal_likelihood(gp, jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(likelihood, peer.log_marginal_likelihood_value_, rtol=1e-10)


@pytest.mark.notes("S1-48")
def test_two_observations_in_closed_form(x64):
    """K = [[a, c], [c, a]] is inverted by hand; without noise the posterior goes through both."""
    gp = gaussian_process([0.7], 2.0, noise=0.0, kernel="rbf")
    x, y, p = np.array([[0.0], [1.0]]), np.array([1.0, -0.5]), 0.3
    k = lambda r: 2.0 * np.exp(-(r**2) / (2 * 0.49))  # noqa: E731
    a, c, b = 2.0, k(1.0), np.array([k(p), k(1 - p)])
    inverse = np.array([[a, -c], [-c, a]]) / (a * a - c * c)
    mean, std = predict(condition(gp, jnp.asarray(x), jnp.asarray(y)), jnp.array([[p], [0.0], [1.0]]))
    np.testing.assert_allclose(mean, [b @ inverse @ y, 1.0, -0.5], rtol=1e-12)
    np.testing.assert_allclose(std, [np.sqrt(2.0 - b @ inverse @ b), 0, 0], rtol=1e-12, atol=1e-7)


@pytest.mark.notes("S1-49")
def test_data_never_add_uncertainty_and_observed_points_keep_less_than_the_noise(x64):
    (x, y), points = data(), jnp.asarray(np.random.default_rng(1).random((40, 3)))
    gp, before = gaussian_process(ELL, AMPLITUDE, NOISE), np.inf
    for n in (1, 2, 5, 10, 25):
        posterior = condition(gp, jnp.asarray(x), jnp.asarray(y), jnp.arange(25) < n)
        std = predict(posterior, points)[1]
        assert (std <= before + 1e-12).all()
        observed = predict(posterior, jnp.asarray(x))[1][:n]
        assert (observed**2 <= NOISE).all()
        before = std
    one = condition(gp, jnp.asarray(x[:1]), jnp.asarray(y[:1]))
    np.testing.assert_allclose(  # a·σ²/(a + σ²), nearly the noise
        predict(one, jnp.asarray(x[:1]))[1][0] ** 2, AMPLITUDE * NOISE / (AMPLITUDE + NOISE), rtol=1e-9
    )


def test_rows_that_are_not_seen_are_not_there(x64):
    (x, y), points = data(), jnp.asarray(np.random.default_rng(1).random((40, 3)))
    gp = gaussian_process(ELL, AMPLITUDE, NOISE, mean=0.2)
    room = jnp.asarray(np.concatenate([x[:10], np.full((6, 3), 0.5)]))
    padded = jnp.asarray(np.concatenate([y[:10], np.full(6, np.nan)]))
    seen = jnp.arange(16) < 10
    few = condition(gp, jnp.asarray(x[:10]), jnp.asarray(y[:10]))
    for got, want in zip(
        predict(condition(gp, room, padded, seen), points), predict(few, points), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    np.testing.assert_allclose(
        log_marginal_likelihood(gp, room, padded, seen),
        log_marginal_likelihood(gp, jnp.asarray(x[:10]), jnp.asarray(y[:10])),
        rtol=1e-12,
    )


def test_to_believe_is_to_observe(x64):
    """Adding a value in O(n²) is conditioning anew; adding the mean leaves the mean alone."""
    (x, y), points = data(12), jnp.asarray(np.random.default_rng(1).random((40, 3)))
    gp, new = gaussian_process(ELL, AMPLITUDE, NOISE, mean=0.2), jnp.array([0.1, 0.9, 0.4])
    x, y = jnp.asarray(x), jnp.asarray(y)
    first = condition(gp, x, y, jnp.arange(12) < 10)
    mean = predict(first, new[None])[0][0]
    for value in (mean, jnp.array(2.5)):
        again = condition(gp, x.at[10].set(new), y.at[10].set(value), jnp.arange(12) < 11)
        added = believe(first, 10, new, value)
        for got, want in zip(predict(added, points), predict(again, points), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9)
    unmoved = predict(believe(first, 10, new, mean), points)[0]
    np.testing.assert_allclose(unmoved, predict(first, points)[0], rtol=1e-9)


@pytest.mark.filterwarnings(
    "ignore:The optimal value found"
)  # a length scale without an end: a dimension off
def test_fitted_hyperparameters_are_as_likely_as_scikit_learns(x64):
    x, y = data(40)
    y = (y - y.mean()) / y.std()
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(np.ones(3), (5e-3, 50), nu=2.5)
    peer = GaussianProcessRegressor(kernel + WhiteKernel(1e-2, (1e-6, 1)), alpha=0).fit(x, y)
    start = gaussian_process(np.ones(3), 1.0, 1e-2)
    found = jax.jit(fit)(start, jnp.asarray(x), jnp.asarray(y))
    value = log_marginal_likelihood(found, jnp.asarray(x), jnp.asarray(y))
    assert value > peer.log_marginal_likelihood_value_ - 0.01  # it has a mean besides
    assert found.lengthscale[2] > 3 * found.lengthscale[0]  # y does not depend on the third
    # a stationary point: no hyperparameter improves it
    slope = jax.grad(lambda gp: log_marginal_likelihood(gp, jnp.asarray(x), jnp.asarray(y)))(found)
    assert abs(slope.mean) < 0.05
    assert abs(slope.noise * found.noise) < 0.05


@pytest.mark.full
def test_grouped_columns_share_a_length_scale(x64):
    x, y = data(20)
    found = fit(gaussian_process(np.ones(3)), jnp.asarray(x), jnp.asarray(y), groups=(0, 1, 1))
    assert found.lengthscale[1] == found.lengthscale[2] != found.lengthscale[0]


@pytest.mark.parametrize("kernel", PEER)
def test_coincident_points_have_finite_gradients(kernel):
    x = jnp.array([[0.5], [0.5], [0.1]])

    def value(lengthscale, points):
        gp = gaussian_process(lengthscale, noise=1e-3, kernel=kernel)
        mean, std = predict(condition(gp, x, jnp.array([1.0, 1.1, 0.0])), points)
        return jnp.sum(mean + std)

    for slope in jax.jit(jax.grad(value, argnums=(0, 1)))(jnp.ones(1), x):
        assert jnp.isfinite(slope).all()


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"gaussian_process\(lengthscale\) is 0"):
        gaussian_process([1.0, 0.0])
    with pytest.raises(ValueError, match=r"gaussian_process\(kernel\) is 'cubic'"):
        gaussian_process([1.0], kernel="cubic")


def test_the_likelihood_has_the_derivatives_of_its_formula(x64):
    """Its slope is a rule of its own: against finite differences, forwards, backwards and twice."""
    x, y = map(jnp.asarray, data(8))
    seen = jnp.arange(8) < 6

    def value(lengthscale, amplitude, noise, y):
        return log_marginal_likelihood(gaussian_process(lengthscale, amplitude, noise), x, y, seen)

    check_grads(jax.jit(value), (jnp.asarray(ELL), 1.7, 0.1, y), order=2, rtol=1e-5)


def test_a_prior_and_a_budget_of_evaluations(x64):
    """A narrow prior of the logarithm of length scales fixes them; of one evaluation nothing is learned."""
    x, y = map(jnp.asarray, data())
    start = gaussian_process(np.ones(3), 1.0, 1e-2)
    fitted = jax.jit(lambda center, width: fit(start, x, y, prior=(center, width)).lengthscale)
    for center in (-1.0, 0.5):
        np.testing.assert_allclose(fitted(center, 1e-3), np.exp(center), rtol=1e-2)
    assert np.abs(np.log(fitted(0.5, np.inf)) - 0.5).max() > 0.5
    stays = jax.jit(fit, static_argnames="evaluations")(start, x, y, evaluations=1)
    np.testing.assert_allclose(stays.lengthscale, 1, rtol=1e-6)
    np.testing.assert_allclose([stays.amplitude, stays.noise], [1, 1e-2], rtol=1e-6)

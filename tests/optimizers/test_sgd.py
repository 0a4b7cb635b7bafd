"""Gradient descent: the formula, its closed form on a quadratic, and its noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.problems import quadratic
from tests.optimizers.runs import RATES, assert_follows, descend, falling_rate

CURVATURES = np.array([0.5, 2.0, 4.0])


def gradient_of_quadratic(x):
    return jax.grad(quadratic(CURVATURES))(x)


def reference(theta, grads, rates, momentum=None, nesterov=False):
    """θ ← θ − ηg; with momentum v ← αv + g and the step v, or g + αv in Nesterov's form."""
    v = np.zeros_like(theta)
    for g, rate in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        d = g
        if momentum is not None:
            v = momentum * v + g
            d = g + momentum * v if nesterov else v
        theta = theta - rate * d
        yield theta


@pytest.mark.notes("S3-02", "S3-28")
@pytest.mark.parametrize(("momentum", "nesterov"), [(None, False), (0.8, False), (0.8, True)])
@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
def test_golden(rate, rates, momentum, nesterov, x64):
    assert_follows(sgd(rate, momentum, nesterov), lambda p, g: reference(p, g, rates, momentum, nesterov))


@pytest.mark.notes("S2-25", "S3-02")
def test_closed_form_on_a_quadratic(x64):
    """Along an axis of curvature L every step multiplies by 1 − ηL."""
    start = jnp.array([1.0, -2.0, 3.0])
    path, _ = descend(sgd(0.3), gradient_of_quadratic, start, 20)
    k = np.arange(21)[:, None]
    np.testing.assert_allclose(path, (1 - 0.3 * CURVATURES) ** k * np.asarray(start), rtol=1e-12)


@pytest.mark.notes("S3-03")
def test_small_rates_crawl_large_ones_jump(x64):
    """ηL < 1 monotone, 1 < ηL < 2 oscillating and shrinking, ηL > 2 diverging: here L = 4."""

    def path(product):
        start = jnp.array([0.0, 0.0, 1.0])
        return np.asarray(descend(sgd(product / 4), gradient_of_quadratic, start, 30)[0][:, 2])

    slow, monotone, oscillating, diverging = map(path, (0.01, 0.9, 1.9, 2.1))
    assert (np.diff(slow) < 0).all()
    assert slow[-1] > 0.7
    assert (np.diff(monotone) < 0).all()
    assert 0 < monotone[-1] < 1e-29
    assert (oscillating[1:] * oscillating[:-1] < 0).all()
    assert abs(oscillating[-1]) < 0.05
    assert abs(diverging[-1]) > 17


@pytest.mark.notes("S2-26")
def test_noise_ball_is_proportional_to_the_rate(x64):
    """Noise of deviation σ in the gradient keeps θ at variance ησ²/(λ(2 − ηλ)) around the minimum."""
    curvature, sigma = 2.0, 1.5

    @jax.jit
    @jax.vmap
    def final_variance(rate):
        optimizer = sgd(rate)

        def step(theta, key):
            g = curvature * theta + sigma * jax.random.normal(key, theta.shape)
            return theta + optimizer.update(g, optimizer.init(theta))[0], None

        theta, _ = jax.lax.scan(step, jnp.zeros(20_000), jax.random.split(jax.random.key(0), 60))
        return jnp.var(theta)

    rates = np.array([0.04, 0.08, 0.4])
    expected = rates * sigma**2 / (curvature * (2 - rates * curvature))
    found = final_variance(rates)
    np.testing.assert_allclose(found, expected, rtol=0.05)  # 5 standard errors
    assert found[0] / found[1] == pytest.approx(0.5, abs=0.04), "half the rate, half the variance"


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"sgd\(nesterov\) is True but momentum is None"):
        sgd(0.1, nesterov=True)
    with pytest.raises(ValueError, match=r"sgd\(learning_rate\) is -1"):
        sgd(-1.0)

"""AdaGrad: the formula, its accumulator by hand, and what a rate per parameter is good for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adadelta import adadelta
from jaxopt_notes.optimizers.adagrad import adagrad
from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.rmsprop import rmsprop
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.problems import logistic_regression
from tests.optimizers.runs import RATES, assert_follows, descend, falling_rate, follow


def run(optimizer, grads):
    return follow(optimizer, jnp.zeros(np.shape(grads)[1:]), jnp.asarray(grads))


@pytest.mark.notes("S2-37")
@pytest.mark.parametrize("eps_in_sqrt", [False, True])
@pytest.mark.parametrize("start", [0.0, 0.3])
@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
def test_golden(rate, rates, start, eps_in_sqrt, x64):
    def reference(theta, grads):
        """r ← r + g²; θ ← θ − ηg/(ε + √r), or ηg/√(r + ε)."""
        r = np.full_like(theta, start)
        for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
            r = r + g**2
            theta = theta - eta * g / (np.sqrt(r + 1e-3) if eps_in_sqrt else 1e-3 + np.sqrt(r))
            yield theta

    assert_follows(adagrad(rate, start, 1e-3, eps_in_sqrt=eps_in_sqrt), reference)


@pytest.mark.notes("S2-37", "S2-40")
def test_constant_gradients_give_steps_falling_as_one_over_root_t(x64):
    """The first step is η·sign(g), the t-th η/√t, whatever the size of g."""
    grads = np.tile([1e-3, -5.0], (10, 1))
    path, _ = run(adagrad(0.5, eps=1e-12), grads)
    steps = np.diff(path, axis=0, prepend=0)
    expected = -0.5 / np.sqrt(np.arange(1, 11))[:, None] * [1, -1]
    np.testing.assert_allclose(steps, expected, rtol=1e-8)


@pytest.mark.notes("S2-40")
def test_accumulator_is_the_sum_of_squares(x64):
    g = np.array([0.3, -1.7, 2.2])
    _, states = run(adagrad(), g)
    expected = [g[0] ** 2, g[0] ** 2 + g[1] ** 2, g[0] ** 2 + g[1] ** 2 + g[2] ** 2]
    np.testing.assert_allclose(states.sum_of_squares, expected, rtol=1e-14)


@pytest.mark.notes("S2-39", "S3-18")
def test_every_coordinate_has_a_rate_of_its_own(x64):
    """A permutation commutes with the optimizer, and no coordinate feels another."""
    grads = np.random.default_rng(0).normal(size=(8, 5))
    path, _ = run(adagrad(0.1), grads)
    order = [3, 0, 4, 1, 2]
    np.testing.assert_array_equal(run(adagrad(0.1), grads[:, order])[0], path[:, np.array(order)])
    for i in range(5):
        alone = np.zeros_like(grads)
        alone[:, i] = grads[:, i]
        np.testing.assert_allclose(run(adagrad(0.1), alone)[0][:, i], path[:, i], rtol=1e-13)


@pytest.mark.notes("S3-18")
def test_adaptive_steps_do_not_depend_on_the_scale_of_a_direction(x64):
    """One direction a million times steeper moves as far as another, where SGD follows the scale."""
    grads = np.random.default_rng(0).normal(size=(8, 1)) * np.array([1.0, 1e6])
    for optimizer in (adagrad(0.1, eps=0.0), rmsprop(0.1, eps=0.0), adam(0.1, eps=0.0)):
        path, _ = run(optimizer, grads)
        np.testing.assert_allclose(path[:, 0], path[:, 1], rtol=1e-12)
    path, _ = run(sgd(0.1), grads)
    np.testing.assert_allclose(1e6 * path[:, 0], path[:, 1], rtol=1e-12)


@pytest.mark.notes("S2-41")
def test_rates_fall_for_ever_unlike_those_of_rmsprop(x64):
    """The step for a gradient of 1, after some large gradients and many small ones."""
    g = np.concatenate([np.full(5, 10.0), np.full(60, 0.1)])
    _, sums = run(adagrad(1.0), g)
    _, averages = run(rmsprop(1.0), g)
    _, windows = run(adadelta(), g)
    falling = 1 / np.sqrt(sums.sum_of_squares)
    assert (np.diff(falling) < 0).all()
    for average in (averages.nu, windows.squared_gradients):
        recovering = 1 / np.sqrt(average)
        assert recovering[-1] > 3 * recovering[4]


def sparse_text(examples=400, words=60, seed=0):
    """Bags of words whose frequencies fall by Zipf's law, labelled by a rule that knows rare words."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, words + 1)
    x = (rng.random((examples, words)) < frequency).astype(float)
    truth = rng.choice([-3.0, 3.0], size=words)
    return x, (x @ truth > np.median(x @ truth)).astype(int)


@pytest.mark.notes("S2-38")
def test_rare_features_are_learnt_faster(x64):
    """Seen once in 20 steps, a feature takes a larger step each time than one seen every step."""
    grads = np.zeros((100, 2))
    grads[:, 0] = 1.0
    grads[::20, 1] = 1.0
    path, _ = run(adagrad(0.1), grads)
    steps = -np.diff(path, axis=0, prepend=0)
    assert (steps[20::20, 1] > 2 * steps[20::20, 0]).all()


@pytest.mark.notes("S2-38")
def test_sparse_logistic_regression_beats_sgd(x64):
    """As many steps, each optimizer with the best of its rates."""
    loss = logistic_regression(*sparse_text())
    start = jnp.zeros(60)
    rates = jnp.geomspace(0.03, 100.0, 12)

    def final_losses(factory):
        def end(rate):
            path, _ = descend(factory(rate), slope, start, 60)
            return loss(path[-1])

        return np.asarray(jax.vmap(end)(rates))

    slope = jax.grad(loss)
    best = {factory: np.nanmin(final_losses(factory)) for factory in (sgd, adagrad)}
    assert best[adagrad] < 0.8 * best[sgd]


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"adagrad\(initial_accumulator_value\) is -1"):
        adagrad(0.1, -1.0)
    with pytest.raises(ValueError, match=r"adagrad\(eps\) is -1"):
        adagrad(0.1, eps=-1.0)

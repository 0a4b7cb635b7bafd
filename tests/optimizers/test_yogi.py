"""Yogi: a second moment that moves by a share of the present square, up or down."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adagrad import adagrad
from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.yogi import yogi
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow


def reference(theta, grads, rates, b1=0.9, b2=0.999, eps=1e-3, eps_root=0.0, v0=1e-6, corrected=True):
    """Zaheer et al. 2018, algorithm 2; corrected as Adam is, or not, as there."""
    m, v = np.zeros_like(theta), np.full_like(theta, v0)
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * np.sign(v - g**2) * g**2
        c1, c2 = (1 - b1**t, 1 - b2**t) if corrected else (1, 1)
        theta = theta - eta * m / c1 / (np.sqrt(v / c2 + eps_root) + eps)
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize(
    "numbers",
    [
        (0.9, 0.999, 1e-3, 0.0, 1e-6, True),
        (0.9, 0.999, 1e-3, 0.0, 1e-6, False),
        (0.8, 0.5, 1e-2, 1e-3, 0.3, True),
        (0.0, 0.9, 1e-8, 0.0, 0.0, False),
    ],
)
def test_golden(numbers, rate, rates, x64):
    assert_follows(yogi(rate, *numbers), lambda p, g: reference(p, g, rates, *numbers), rtol=1e-11)


def test_defaults_are_the_papers_and_corrected(x64):
    assert_follows(yogi(), lambda p, g: reference(p, g, 1e-2), rtol=1e-11)


def test_the_first_step_is_adams(x64):
    """Both second moments are (1 − b2)·g² from 0."""
    grads = np.array([[4.0, -0.02]])
    found, _ = follow(yogi(0.1, eps=1e-8, initial_accumulator_value=0.0), jnp.zeros(2), grads)
    expected, _ = follow(adam(0.1), jnp.zeros(2), grads)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_while_the_second_moment_is_the_smaller_it_is_adagrad(x64):
    """v is then (1 − b2)·Σg², and η/√(1 − b2) the rate of AdaGrad."""
    grads = np.random.default_rng(0).uniform(1, 2, size=(30, 3))
    plain = yogi(0.1, b1=0.0, eps=0.0, initial_accumulator_value=0.0, bias_correction=False)
    found, _ = follow(plain, jnp.zeros(3), grads)
    expected, _ = follow(adagrad(0.1 / np.sqrt(0.001), eps=0.0), jnp.zeros(3), grads)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_large_gradient_is_forgotten_linearly(x64):
    """After one gradient of 10, ones take 1 − b2 off v each, where Adam's v falls by a share of itself."""
    grads = np.ones(201)
    grads[0] = 10.0
    _, states = follow(yogi(b2=0.99, initial_accumulator_value=50.0), jnp.array(0.0), grads)
    np.testing.assert_allclose(states.nu, 50 + 0.01 * 100 - 0.01 * np.arange(201), rtol=1e-12)


def test_the_second_moment_starts_where_it_is_told_and_integers_hold_none():
    state = yogi(initial_accumulator_value=0.25).init(
        {"w": jnp.ones((2, 2), jnp.bfloat16), "n": jnp.arange(3)}
    )
    np.testing.assert_array_equal(state.nu["w"], np.full((2, 2), 0.25, np.float32))
    np.testing.assert_array_equal(state.mu["w"], 0)
    assert state.nu["n"] is None


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"yogi\(initial_accumulator_value\) is -1"):
        yogi(initial_accumulator_value=-1.0)
    with pytest.raises(ValueError, match=r"yogi\(b2\) is 1"):
        yogi(b2=1.0)

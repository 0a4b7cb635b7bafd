"""Adan: the formula with its average of differences, which is not stored, and what it becomes without."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.adan import adan
from tests.optimizers.runs import (
    RATES,
    STEPS,
    assert_follows,
    falling_rate,
    follow,
    random_grads,
    random_params,
)


def reference(theta, grads, rates, b1, b2, b3, eps, eps_root, decay):
    m = d = n = np.zeros_like(theta)
    last = grads[0]
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        m = b1 * m + (1 - b1) * g
        d = b2 * d + (1 - b2) * (g - last)
        n = b3 * n + (1 - b3) * (g + b2 * (g - last)) ** 2
        last = g
        step = m / (1 - b1**t) + b2 * d / (1 - b2**t)
        theta = theta - eta * step / (np.sqrt(n / (1 - b3**t) + eps_root) + eps)
        theta = theta / (1 + eta * decay)
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize("numbers", [(0.98, 0.92, 0.99, 1e-8, 0.0), (0.7, 0.4, 0.9, 1e-3, 1e-4)])
def test_golden(rate, rates, numbers, x64):
    assert_follows(
        adan(rate, *numbers, weight_decay=0.3),
        lambda p, g: reference(p, g, rates, *numbers, 0.3),
        bias=lambda p, g: reference(p, g, rates, *numbers, 0.0),
        rtol=1e-11,
    )


def test_without_look_ahead_it_is_adam(x64):
    params, grads = random_params(), random_grads()
    found, _ = follow(adan(0.1, 0.9, 0.0, 0.99), params, grads)
    expected, _ = follow(adam(0.1, 0.9, 0.99), params, grads)
    np.testing.assert_allclose(found["kernel"], expected["kernel"], rtol=1e-11)


def test_a_constant_gradient_has_no_differences(x64):
    """Steps of η·sign(g), of whatever size g is: nothing to look ahead to."""
    grads = np.broadcast_to([3.0, -0.01], (STEPS, 2))
    path, _ = follow(adan(0.1, eps=0.0), np.zeros(2), grads)
    np.testing.assert_allclose(path[:, 0], -0.1 * np.arange(1, STEPS + 1), rtol=1e-12)
    np.testing.assert_allclose(path[:, 1], 0.1 * np.arange(1, STEPS + 1), rtol=1e-12)


def test_decay_is_proximal(x64):
    """Without gradients parameters are divided by 1 + ηλ, which no λ turns negative."""
    path, _ = follow(adan(1.0, weight_decay=3.0, mask=None), np.array([64.0]), np.zeros((3, 1)))
    np.testing.assert_allclose(path[:, 0], [16.0, 4.0, 1.0], rtol=1e-12)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"adan\(b3\) is 1, expected a number in \[0, 1\)"):
        adan(b3=1.0)
    with pytest.raises(ValueError, match="adan needs the parameters"):
        adan().update(jnp.ones(2), adan().init(jnp.ones(2)))

"""AdaBelief: divided by the surprise, not by the size, of a gradient."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adabelief import adabelief
from jaxopt_notes.optimizers.adam import adam
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow


def reference(theta, grads, rates, b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16):
    """Zhuang et al. 2020, algorithm 2."""
    m = s = np.zeros_like(theta)
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps_root
        theta = theta - eta * m / (1 - b1**t) / (np.sqrt(s / (1 - b2**t)) + eps)
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize(
    "numbers", [(0.9, 0.999, 1e-16, 1e-16), (0.8, 0.5, 1e-3, 1e-2), (0.5, 0.0, 0.0, 1e-8)]
)
def test_golden(numbers, rate, rates, x64):
    assert_follows(adabelief(rate, *numbers), lambda p, g: reference(p, g, rates, *numbers), rtol=1e-10)


def test_defaults_are_those_of_the_authors_code(x64):
    assert_follows(adabelief(), lambda p, g: reference(p, g, 1e-3), rtol=1e-10)


@pytest.mark.parametrize("b1", [0.5, 0.9])
def test_the_first_step_is_the_rate_over_b1(b1, x64):
    """m̂ = g, and the deviation is g − (1 − b1)g = b1·g."""
    path, _ = follow(adabelief(0.1, b1), jnp.zeros(2), np.array([[4.0, -0.02]]))
    np.testing.assert_allclose(path[0], [-0.1 / b1, 0.1 / b1], rtol=1e-6)


def test_steps_grow_where_gradients_agree_and_not_where_they_alternate(x64):
    """Of gradients 1, 1, 1, … and 1, −1, 1, …: Adam's |g|² is the same, AdaBelief's deviation is not."""
    signs = np.stack([np.ones(200), (-1.0) ** np.arange(200)], axis=1)

    def last(optimizer):
        path, _ = follow(optimizer, jnp.zeros(2), signs)
        return abs(np.asarray(path[-1] - path[-2]))

    agreeing, alternating = last(adabelief(0.1, b2=0.9)) / last(adam(0.1, b2=0.9))
    assert agreeing > 100
    assert alternating == pytest.approx(1.0, rel=0.1)


def test_eps_root_bounds_the_step_of_a_gradient_that_never_varies(x64):
    """s/(1 − b2ᵗ) is at least eps_root/(1 − b2): no step is longer than η·|g|·√((1 − b2)/eps_root)."""
    grads = np.full((3000, 1), 2.0)
    path, states = follow(adabelief(0.1, b2=0.9, eps=0.0, eps_root=1e-4), jnp.zeros(1), grads)
    np.testing.assert_allclose(states.nu[-1], 1e-4 / 0.1, rtol=1e-9)
    assert abs(path[-1] - path[-2]) == pytest.approx(0.1 * 2.0 * np.sqrt(0.1 / 1e-4), rel=1e-9)


def test_wrong_arguments_are_named():
    for name, value in {"b1": 1.0, "b2": 1.0, "eps": -1.0, "eps_root": -1.0}.items():
        with pytest.raises(ValueError, match=rf"adabelief\({name}\) is {value:g}"):
            adabelief(**{name: value})

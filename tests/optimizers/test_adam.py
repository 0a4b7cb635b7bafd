"""Adam: the formula, its corrections for the start at zero, and how it relates to RMSProp."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.core.chain import chain
from jaxopt_notes.optimizers.rmsprop import rmsprop
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.optimizers.transforms.weight_decay import weight_decay
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow, random_grads


def run(optimizer, grads, start=0.0):
    return follow(optimizer, jnp.full(np.shape(grads)[1:], start), jnp.asarray(grads))


def reference(theta, grads, rates, b1, b2, eps, eps_root=0.0):
    """Kingma & Ba 2015, algorithm 1."""
    m = v = np.zeros_like(theta)
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        theta = theta - eta * m_hat / (np.sqrt(v_hat + eps_root) + eps)
        yield theta


@pytest.mark.notes("S2-49")
@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize(
    "numbers", [(0.9, 0.999, 1e-8, 0.0), (0.0, 0.5, 1e-3, 0.0), (0.8, 0.0, 1e-8, 1e-2), (0.8, 0.9, 0.0, 0.0)]
)
def test_golden(numbers, rate, rates, x64):
    assert_follows(adam(rate, *numbers), lambda p, g: reference(p, g, rates, *numbers), rtol=1e-11)


@pytest.mark.notes("S1-64", "S2-49")
def test_defaults_are_the_papers(x64):
    assert_follows(adam(), lambda p, g: reference(p, g, 1e-3, 0.9, 0.999, 1e-8), rtol=1e-11)


@pytest.mark.notes("S2-49", "S2-51")
def test_a_constant_gradient_is_seen_exactly(x64):
    """m̂ = g and v̂ = g² at every step, so every step is η·sign(g), the first one included."""
    g = np.array([4.0, -0.02])
    path, states = run(adam(0.1), np.tile(g, (20, 1)))
    t = np.arange(1, 21)[:, None]
    np.testing.assert_allclose(np.asarray(states.mu) / (1 - 0.9**t), np.tile(g, (20, 1)), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(states.nu) / (1 - 0.999**t), np.tile(g**2, (20, 1)), rtol=1e-12)
    np.testing.assert_allclose(path, -0.1 * t * np.sign(g), rtol=1e-6)


@pytest.mark.notes("S2-51")
@pytest.mark.parametrize("b2", [0.9, 0.999])
def test_corrected_second_moment_is_unbiased(b2, x64):
    """E[v̂] = E[g²] for independent gradients of one distribution: here 3² + 1² (deviation, mean)."""
    grads = 1 + 3 * np.random.default_rng(0).normal(size=(10, 40_000))
    _, states = run(adam(b2=b2), grads)
    mean = np.asarray(states.nu).mean(axis=1)
    np.testing.assert_allclose(mean / (1 - b2 ** np.arange(1, 11)), 10, rtol=0.04)
    assert mean[0] < 1.1, "uncorrected it would be (1 − b2) of that"


@pytest.mark.notes("S2-50")
def test_without_momentum_and_correction_it_is_rmsprop(x64):
    """β₁ = 0 and ε inside the root; the correction either in both, or divided out by the rate."""
    grads = random_grads()["kernel"]
    corrected, _ = run(adam(0.1, b1=0.0, b2=0.9, eps=0.0, eps_root=1e-3), grads)
    expected, _ = run(rmsprop(0.1, 0.9, 1e-3, bias_correction=True), grads)
    np.testing.assert_allclose(corrected, expected, rtol=1e-12)

    def undone(step):
        return 0.1 / jnp.sqrt(1 - 0.9 ** (1 + jnp.asarray(step, float)))

    plain, _ = run(adam(undone, b1=0.0, b2=0.9, eps=0.0), grads)
    expected, _ = run(rmsprop(0.1, 0.9, 0.0), grads)
    np.testing.assert_allclose(plain, expected, rtol=1e-12)


@pytest.mark.notes("S2-50")
def test_its_momentum_is_an_average_not_a_sum(x64):
    """A constant gradient of 1 gives a first moment of 1, where a velocity would reach 1/(1 − β₁)."""
    _, states = run(adam(), np.ones(300))
    np.testing.assert_allclose(states.mu[-1], 1.0, rtol=1e-12)


@pytest.mark.notes("S4-46")
def test_weights_without_a_gradient_still_move(x64):
    """A unit that dropout leaves out has gradient 0: SGD leaves its weights, Adam and decay do not."""
    grads = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])

    def moved(optimizer):
        path, _ = run(optimizer, grads, start=1.0)
        return abs(np.diff(path, axis=0)[:, 0])

    np.testing.assert_array_equal(moved(sgd(0.1)), 0)
    assert (moved(adam(0.1)) > 0.03).all()
    np.testing.assert_allclose(moved(chain(sgd(0.1), weight_decay(0.5, mask=None)))[0], 0.5 * 0.4, rtol=1e-12)


def test_bfloat16_parameters_have_float32_moments():
    """In bfloat16 a decay of 0.999 would be 1 and v would never grow."""
    params = jnp.ones(3, jnp.bfloat16)
    _, states = follow(adam(0.1), params, jnp.full((200, 3), 0.5, jnp.bfloat16))
    assert states.nu.dtype == jnp.float32
    np.testing.assert_allclose(states.nu[-1], 0.25 * (1 - 0.999**200), rtol=1e-4)


def test_wrong_arguments_are_named():
    for name, value in {"b1": 1.0, "b2": 1.0, "eps": -1.0, "eps_root": -1.0, "learning_rate": -1.0}.items():
        with pytest.raises(ValueError, match=rf"adam\({name}\) is {value:g}"):
            adam(**{name: value})

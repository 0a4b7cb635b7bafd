"""ADOPT: a gradient divided by what was known before it, whatever b2 is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.adopt import adopt, fourth_root
from tests.optimizers.runs import RATES, STEPS, assert_follows, falling_rate, follow


def reference(theta, grads, rates, b1=0.9, b2=0.9999, eps=1e-6, clips=None):
    """Taniguchi et al. 2024, algorithm 2: the first gradient starts v, and from t = 1 on steps are made."""
    m = np.zeros_like(theta)
    v = grads[0] ** 2
    yield theta
    rates = np.broadcast_to(rates, len(grads))
    clips = np.arange(len(grads)) ** 0.25 if clips is None else np.broadcast_to(clips, len(grads))
    for g, eta, c in zip(grads[1:], rates[1:], clips[1:], strict=True):
        m = b1 * m + (1 - b1) * np.clip(g / np.maximum(np.sqrt(v), eps), -c, c)
        theta = theta - eta * m
        v = b2 * v + (1 - b2) * g**2
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize("numbers", [(0.9, 0.9999, 1e-6), (0.0, 0.5, 0.1), (0.8, 0.0, 1e-6)])
@pytest.mark.parametrize(
    ("clip", "clips"), [(fourth_root, None), (np.inf, np.inf), (0.7, 0.7), (falling_rate, RATES)]
)
def test_golden(clip, clips, numbers, rate, rates, x64):
    assert_follows(
        adopt(rate, *numbers, clip), lambda p, g: reference(p, g, rates, *numbers, clips), rtol=1e-11
    )


def test_defaults_are_the_papers(x64):
    assert_follows(adopt(), lambda p, g: reference(p, g, 1e-3), rtol=1e-11)


def test_a_constant_gradient(x64):
    """Every quotient is its sign, from the second gradient on: the average of signs times the rate."""
    path, states = follow(adopt(0.1), jnp.zeros(2), np.tile([4.0, -0.02], (20, 1)))
    np.testing.assert_array_equal(path[0], 0)
    np.testing.assert_allclose(states.nu, np.tile([16.0, 0.0004], (20, 1)), rtol=1e-12)
    np.testing.assert_allclose(states.mu[:, 0], 1 - 0.9 ** np.arange(20), rtol=1e-12)
    np.testing.assert_allclose(states.mu[:, 1], -states.mu[:, 0], rtol=1e-12)


def test_the_first_steps_are_bounded_by_the_fourth_root_of_their_number(x64):
    """However small the first gradient was."""
    grads = np.concatenate([[[1e-12]], np.ones((STEPS, 1))])
    clipped, _ = follow(adopt(0.1, b1=0.0), jnp.zeros(1), grads)
    bound = 0.1 * np.arange(1, STEPS + 1) ** 0.25
    steps = -np.diff(clipped, axis=0)[:, 0]
    assert (steps <= bound + 1e-12).all()
    assert steps[0] == pytest.approx(0.1)
    free, _ = follow(adopt(0.1, b1=0.0, clip_value=np.inf), jnp.zeros(1), grads)
    assert abs(free[1, 0]) == pytest.approx(0.1 * 1e6), "1 over eps"


def test_it_converges_for_a_b2_for_which_adam_does_not(x64):
    """Reddi et al. 2018: a large slope now and then, −1 otherwise, on [−1, 1]; the best point is −1."""
    rng = np.random.default_rng(0)
    slopes = np.where(rng.random(20_000) < 0.05, 40.0, -1.0)  # mean 1.05

    def end(optimizer):
        def step(carry, slope):
            x, state = carry
            update, state = optimizer.update(slope, state, x)
            return (jnp.clip(x + update, -1, 1), state), x

        x = jnp.array(0.5)
        return float(jax.lax.scan(step, (x, optimizer.init(x)), slopes)[1][-5000:].mean())

    rate = {"learning_rate": lambda t: 0.3 / jnp.sqrt(1.0 + t.astype(float)), "b1": 0.0, "b2": 0.1}
    assert end(adam(**rate)) > 0.5
    assert end(adopt(clip_value=np.inf, **rate)) < -0.5


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"adopt\(clip_value\) is -1"):
        adopt(clip_value=-1.0)
    with pytest.raises(ValueError, match=r"adopt\(b2\) is 1"):
        adopt(b2=1.0)

"""AdEMAMix: Adam with a slow average beside the fast one, and the warm-up of both its numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.ademamix import ademamix, slowed
from tests.optimizers.runs import RATES, STEPS, assert_follows, falling_rate, follow


def reference(
    theta, grads, rates, b1=0.9, b2=0.999, b3=0.9999, alpha=5.0, eps=1e-8, eps_root=0.0, horizon=0
):  # fmt: skip
    """Pagliardini et al. 2024, algorithm 1, with the schedulers f_α and f_β₃ as they are printed there."""
    fast = slow = v = np.zeros_like(theta)
    many = (np.broadcast_to(values, len(grads)) for values in (rates, b3, alpha))
    for t, (g, eta, b3_t, alpha_t) in enumerate(zip(grads, *many, strict=True), 1):
        if t < horizon:
            part = t / horizon
            logs = np.log(b1), np.log(b3_t)
            b3_t = min(np.exp(logs[0] * logs[1] / ((1 - part) * logs[1] + part * logs[0])), b3_t)
            alpha_t = part * alpha_t
        fast = b1 * fast + (1 - b1) * g
        slow = b3_t * slow + (1 - b3_t) * g
        v = b2 * v + (1 - b2) * g**2
        root = np.sqrt(v / (1 - b2**t) + eps_root)
        theta = theta - eta * (fast / (1 - b1**t) + alpha_t * slow) / (root + eps)
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize(
    "numbers",
    [
        (0.9, 0.999, 0.9999, 5.0, 1e-8, 0.0, 0),
        (0.0, 0.5, 0.8, 2.0, 1e-3, 0.0, 0),
        (0.8, 0.9, 0.99, 8.0, 0.0, 1e-2, 7),
        (0.9, 0.999, 0.9999, 5.0, 1e-8, 0.0, 1000),
    ],
)
def test_golden(numbers, rate, rates, x64):
    assert_follows(ademamix(rate, *numbers), lambda p, g: reference(p, g, rates, *numbers), rtol=1e-10)


def test_defaults(x64):
    assert_follows(ademamix(), lambda p, g: reference(p, g, 1e-3), rtol=1e-11)


def test_schedules_for_the_slow_average(x64):
    def rising(step):
        return 0.9 + 0.01 * jnp.asarray(step, float) / STEPS

    b3 = 0.9 + 0.01 * np.arange(STEPS) / STEPS
    assert_follows(
        ademamix(0.1, b3=rising, alpha=falling_rate),
        lambda p, g: reference(p, g, 0.1, b3=b3, alpha=RATES),
        rtol=1e-11,
    )


def test_without_the_slow_average_it_is_adam(x64):
    grads = np.random.default_rng(0).normal(size=(20, 3))
    found, _ = follow(ademamix(0.1, alpha=0.0), jnp.zeros(3), grads)
    expected, _ = follow(adam(0.1), jnp.zeros(3), grads)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_constant_gradient_is_followed_faster_and_faster(x64):
    """By (1 + α·(1 − b3ᵗ)) times the rate, up to 1 + α."""
    path, _ = follow(ademamix(0.1, b3=0.99), jnp.zeros(1), np.full((2000, 1), 3.0))
    steps = -np.diff(path, axis=0)[:, 0] / 0.1
    np.testing.assert_allclose(steps, 1 + 5 * (1 - 0.99 ** np.arange(2, 2001)), rtol=1e-7)
    assert steps[-1] == pytest.approx(6.0, rel=1e-6)


def test_the_slow_average_remembers_what_the_fast_one_forgot(x64):
    """One gradient among zeros: after 200 steps b1 has forgotten it, b3 has not."""
    grads = np.zeros(201)
    grads[0] = 1.0
    _, states = follow(ademamix(b3=0.999), jnp.array(0.0), grads)
    assert float(states.fast[-1]) == pytest.approx(0.1 * 0.9**200)
    assert float(states.slow[-1]) == pytest.approx(0.001 * 0.999**200)
    assert states.slow[-1] > 1e4 * states.fast[-1]


def test_the_half_life_of_the_slow_average_grows_linearly(x64):
    """From that of b1 to that of b3: ln ½/ln β, up to a constant."""
    share = np.linspace(0, 1, 11)
    half_lives = np.log(0.5) / np.log(np.asarray(slowed(0.9, 0.9999, share)))
    ends = np.log(0.5) / np.log([0.9, 0.9999])
    np.testing.assert_allclose(half_lives, ends[0] + share * (ends[1] - ends[0]), rtol=1e-9)


@pytest.mark.parametrize(("b1", "b3"), [(0.0, 0.9), (0.9, 0.0), (0.0, 0.0), (0.9, 0.5)])
def test_the_warm_up_is_finite_at_its_corners(b1, b3, x64):
    """Averages without memory, a b3 below b1: never above b3, and with finite slopes."""
    value_and_slopes = jax.jit(jax.value_and_grad(slowed, (0, 1, 2)))
    for share in (0.0, 0.3, 1.0):
        decay, slopes = value_and_slopes(b1, b3, share)
        assert decay == pytest.approx(min(b1, b3)) if share == 0 else 0 <= decay <= b3
        assert np.isfinite(slopes).all()
    assert decay == b3


def test_wrong_arguments_are_named():
    for name, value in {"b3": 1.0, "alpha": -1.0, "warmup_steps": -1.0}.items():
        with pytest.raises(ValueError, match=rf"ademamix\({name}\) is {value:g}"):
            ademamix(**{name: value})

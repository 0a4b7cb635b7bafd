"""RMSProp: every flag against the formula, the accumulator by hand, and a variance that stays positive."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adagrad import adagrad
from jaxopt_notes.optimizers.rmsprop import rmsprop
from jaxopt_notes.problems import elliptic_bowl
from tests.optimizers.runs import RATES, assert_follows, descend, falling_rate, follow


def run(optimizer, grads):
    return follow(optimizer, jnp.zeros(np.shape(grads)[1:]), jnp.asarray(grads))


def reference(
    theta, grads, rates, decay, eps, inside, centered=False, beta=None, nesterov=False, correct=False, r0=0.0
):
    """Tieleman & Hinton 2012, Graves 2013 (centered), Sutskever et al. 2013 (the momentum)."""
    r, m, v = np.full_like(theta, r0), np.zeros_like(theta), np.zeros_like(theta)
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        r = decay * r + (1 - decay) * g**2
        m = decay * m + (1 - decay) * g
        seen = 1 - decay**t if correct else 1.0
        square = r / seen - (m / seen) ** 2 if centered else r / seen
        step = eta * g / (np.sqrt(square + eps) if inside else np.sqrt(square) + eps)
        if beta is not None:
            v = beta * v + step
            step = step + beta * v if nesterov else v
        theta = theta - step
        yield theta


MOMENTA = [(None, False), (0.8, False), (0.8, True)]


@pytest.mark.notes("S2-45")
@pytest.mark.parametrize(
    ("inside", "centered", "correct", "momentum"),
    list(itertools.product([True, False], [False, True], [False, True], MOMENTA)),
)
def test_golden(inside, centered, correct, momentum, x64):
    """ε = 0.1 keeps the corrected variance of the first step, which is rounding error, out of sight:

    its root is known to 1e-8 of the gradient only, which shows where ε stands outside.
    """
    beta, nesterov = momentum
    optimizer = rmsprop(
        0.07, 0.75, 0.1, eps_in_sqrt=inside, centered=centered, momentum=beta, nesterov=nesterov,
        bias_correction=correct,
    )  # fmt: skip
    # Where the first variance is rounding error its root is known to 1e-8 of the gradient only.
    rtol = 1e-5 if centered and correct and not inside else 1e-12
    assert_follows(
        optimizer,
        lambda p, g: reference(p, g, 0.07, 0.75, 0.1, inside, centered, beta, nesterov, correct),
        rtol=rtol,
    )


@pytest.mark.parametrize("momentum", [None, 0.8])
def test_golden_under_a_schedule_from_another_start(momentum, x64):
    """The rate stands inside the velocity."""
    assert_follows(
        rmsprop(falling_rate, 0.75, 1e-6, initial_scale=2.0, momentum=momentum),
        lambda p, g: reference(p, g, RATES, 0.75, 1e-6, True, beta=momentum, r0=2.0),
    )


@pytest.mark.notes("S2-45")
def test_defaults_are_the_notes(x64):
    """η = 0.001, α = 0.9, ε = 1e-8 inside the root; the first step is η/√(1 − α)·sign(g)."""
    assert_follows(rmsprop(), lambda p, g: reference(p, g, 1e-3, 0.9, 1e-8, True))
    path, _ = run(rmsprop(0.5), np.array([[4.0, -70.0]]))
    np.testing.assert_allclose(path[0], [-0.5 * 3.16227766, 0.5 * 3.16227766], rtol=1e-8)


@pytest.mark.notes("S2-47")
def test_accumulator_by_hand(x64):
    """r₃ = 0.081g₁² + 0.09g₂² + 0.1g₃²."""
    g = np.array([0.3, -1.7, 2.2])
    _, states = run(rmsprop(decay=0.9), g)
    s = g**2
    expected = [0.1 * s[0], 0.09 * s[0] + 0.1 * s[1], 0.081 * s[0] + 0.09 * s[1] + 0.1 * s[2]]
    np.testing.assert_allclose(states.nu, expected, rtol=1e-13)


@pytest.mark.notes("S2-48")
def test_accumulator_is_far_below_adagrads_so_first_steps_are_longer(x64):
    g = np.array([1.0, 0.9, 0.8])
    path, states = run(rmsprop(0.1), g)
    other, sums = run(adagrad(0.1), g)
    assert states.nu[2] < 0.15 * sums.sum_of_squares[2]
    np.testing.assert_allclose(path[0] / other[0], np.sqrt(10), rtol=1e-5)


@pytest.mark.notes("S2-48")
def test_a_large_rate_has_a_high_floor(x64):
    """The rate bounds how near the minimum it comes: at 0.1 the loss stops far above that at 0.01."""

    def floor(rate):
        path, _ = descend(rmsprop(rate), jax.grad(elliptic_bowl()), jnp.array([-7.0, 2.0]), 3000)
        return float(jnp.mean(jax.vmap(elliptic_bowl())(path[-100:])))

    assert floor(0.1) > 50 * floor(0.01)


@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("eps_in_sqrt", [True, False])
@pytest.mark.parametrize("value", [1.0, 0.1, 1e-3, 3e4])
def test_centered_with_a_constant_gradient_stays_finite_and_bounded(value, eps_in_sqrt, bias_correction):
    """r − m² is rounding error of either sign here: never NaN, never a step above η/√(machine ε)."""
    optimizer = rmsprop(1e-3, centered=True, eps_in_sqrt=eps_in_sqrt, bias_correction=bias_correction)
    path, _ = run(optimizer, np.full((1000, 1), value, np.float32))
    assert path.dtype == jnp.float32
    steps = np.diff(path, axis=0)
    assert np.isfinite(steps).all()
    assert abs(steps).max() <= 1e-3 / np.sqrt(np.finfo(np.float32).eps) * 1.01


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"rmsprop\(nesterov\) is True but momentum is None"):
        rmsprop(nesterov=True)
    with pytest.raises(ValueError, match=r"rmsprop\(decay\) is 1, expected a number in \[0, 1\)"):
        rmsprop(decay=1.0)
    with pytest.raises(ValueError, match=r"rmsprop\(momentum\) is 2"):
        rmsprop(momentum=2.0)

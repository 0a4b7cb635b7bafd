"""AMSGrad: three places of the bias correction, and rates that never rise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.amsgrad import amsgrad
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow


def reference(theta, grads, rates, correction, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0):
    """Reddi, Kale & Kumar 2018, algorithm 2, with Adam's corrections after, before or not at all."""
    m = v = largest = np.zeros_like(theta)
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        unseen = 1 - b2**t
        largest = np.maximum(largest, v / unseen if correction == "before" else v)
        root = np.sqrt((largest / unseen if correction == "after" else largest) + eps_root)
        theta = theta - eta * m / (1 if correction == "none" else 1 - b1**t) / (root + eps)
        yield theta


@pytest.mark.parametrize("correction", ["after", "before", "none"])
@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize("numbers", [(0.9, 0.999, 1e-8, 0.0), (0.8, 0.5, 1e-3, 0.0), (0.0, 0.3, 0.0, 1e-2)])
def test_golden(numbers, rate, rates, correction, x64):
    assert_follows(
        amsgrad(rate, *numbers, correction),
        lambda p, g: reference(p, g, rates, correction, *numbers),
        rtol=1e-11,
    )


def test_defaults_are_adams_corrected_after_the_maximum(x64):
    assert_follows(amsgrad(), lambda p, g: reference(p, g, 1e-3, "after"), rtol=1e-11)


def test_while_gradients_grow_it_is_adam(x64):
    """The second moment is then its own maximum, whether corrected or not."""
    growing = np.linspace(1, 2, 20)[:, None] * np.array([1.0, -0.3])
    expected, _ = follow(adam(0.1, b2=0.9), jnp.zeros(2), growing)
    for correction in ("after", "before"):
        found, _ = follow(amsgrad(0.1, b2=0.9, correction=correction), jnp.zeros(2), growing)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_large_gradient_is_not_forgotten(x64):
    """After one gradient of 100 among ones, steps stay short; Adam's are long again after 1/(1 − b2)."""
    grads = np.ones(400)
    grads[100] = 100.0
    for correction in ("before", "none"):
        path, states = follow(amsgrad(0.1, 0.0, 0.9, correction=correction), jnp.array(0.0), grads)
        assert (np.diff(states.nu_max) >= 0).all()
        assert abs(path[-1] - path[-2]) == pytest.approx(0.1 / np.sqrt(0.1 * 100**2), rel=1e-2)
    path, _ = follow(adam(0.1, 0.0, 0.9), jnp.array(0.0), grads)
    assert abs(path[-1] - path[-2]) == pytest.approx(0.1, rel=1e-3)


def test_the_problem_on_which_adam_goes_the_wrong_way(x64):
    """Reddi et al., theorem 1: a slope of 3 one step in three, of −1 in the others, on [−1, 1].

    The average slope is positive, so the best point is −1. Without momentum and with b2 = 1/(1 + C²) Adam
    ends at +1, AMSGrad at −1.
    """
    slopes = np.tile([3.0, -1.0, -1.0], 2000)

    def end(optimizer):
        def step(carry, slope):
            x, state = carry
            update, state = optimizer.update(slope, state, x)
            return (jnp.clip(x + update, -1, 1), state), None

        x = jnp.array(0.0)
        return float(jax.lax.scan(step, (x, optimizer.init(x)), slopes)[0][0])

    rate = {"learning_rate": lambda t: 0.5 / jnp.sqrt(1.0 + t.astype(float)), "b1": 0.0, "b2": 0.1}
    assert end(adam(**rate)) > 0.9
    assert end(amsgrad(correction="none", **rate)) < -0.9


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"amsgrad\(correction\) is 'torch', expected one of 'after'"):
        amsgrad(correction="torch")
    with pytest.raises(ValueError, match=r"amsgrad\(b2\) is 1"):
        amsgrad(b2=1.0)

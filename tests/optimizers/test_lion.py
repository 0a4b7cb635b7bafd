"""Lion: the formula with the old average, steps of one size, and the case b1 = b2."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.lion import lion
from jaxopt_notes.optimizers.signum import signum
from tests.optimizers.runs import (
    RATES,
    STEPS,
    assert_follows,
    falling_rate,
    follow,
    random_grads,
    random_params,
)


def reference(theta, grads, rates, b1, b2, decay):
    m = np.zeros_like(theta)
    for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        theta = theta - eta * (np.sign(b1 * m + (1 - b1) * g) + decay * theta)
        m = b2 * m + (1 - b2) * g
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize(("b1", "b2"), [(0.9, 0.99), (0.6, 0.3), (0.0, 0.5)])
def test_golden(rate, rates, b1, b2, x64):
    """The direction in terms of the new average is that of the old, whichever decay is the larger."""
    assert_follows(
        lion(rate, b1, b2, weight_decay=0.3),
        lambda p, g: reference(p, g, rates, b1, b2, 0.3),
        bias=lambda p, g: reference(p, g, rates, b1, b2, 0.0),
    )


def test_every_parameter_moves_by_the_rate(x64):
    params, grads = random_params(), random_grads()
    path, _ = follow(lion(0.1, weight_decay=0.0), params, grads)
    for name, points in path.items():
        steps = np.diff(np.concatenate([params[name][None], points]), axis=0)
        np.testing.assert_allclose(abs(steps), 0.1, rtol=1e-12)


def test_with_equal_decays_it_is_signum(x64):
    params, grads = random_params(), random_grads()
    found, _ = follow(lion(0.1, 0.7, 0.7, weight_decay=0.0), params, grads)
    expected, _ = follow(signum(0.1, 0.7), params, grads)
    np.testing.assert_allclose(found["kernel"], expected["kernel"], rtol=1e-12)


def test_without_gradients_decay_shrinks_by_one_minus_rate_times_decay(x64):
    grads = jnp.zeros((STEPS, 2))
    path, _ = follow(lion(0.1, weight_decay=0.5, mask=None), jnp.array([4.0, -2.0]), grads)
    np.testing.assert_allclose(path[-1], 0.95**STEPS * np.array([4.0, -2.0]), rtol=1e-12)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"lion\(b2\) is 0, expected a number in \(0, 1\)"):
        lion(b2=0.0)
    with pytest.raises(ValueError, match="lion needs the parameters"):
        lion().update(jnp.ones(2), lion().init(jnp.ones(2)))

"""LARS: the formula of the paper, and what it does to long and to short gradients."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.lars import lars
from jaxopt_notes.optimizers.momentum import momentum
from jaxopt_notes.optimizers.nesterov import nesterov
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow, random_grads, random_params


def reference(theta, grads, rates, alpha, c, eps, decay, ahead=False):
    v = np.zeros_like(theta)
    for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        length = np.linalg.norm(theta)
        g = c * length / (np.linalg.norm(g) + decay * length + eps) * (g + decay * theta)
        v = alpha * v + eta * g
        theta = theta - (eta * g + alpha * v if ahead else v)
        yield theta


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize(("eps", "decay"), [(0.0, 0.0), (0.1, 0.3)])
def test_golden(rate, rates, eps, decay, ahead, x64):
    optimizer = lars(rate, 0.8, 0.2, eps, weight_decay=decay, nesterov=ahead, mask=None)
    assert_follows(optimizer, lambda p, g: reference(p, g, rates, 0.8, 0.2, eps, decay, ahead))


@pytest.mark.parametrize(("ahead", "plain"), [(False, momentum), (True, nesterov)])
def test_leaves_outside_the_mask_take_plain_momentum(ahead, plain, x64):
    """By default biases: neither adapted nor decayed."""
    params, grads = random_params(), random_grads()
    found, _ = follow(lars(0.1, 0.8, weight_decay=0.3, nesterov=ahead), params, grads)
    expected, _ = follow(plain(0.1, 0.8), params, grads)
    np.testing.assert_allclose(found["bias"], expected["bias"], rtol=1e-12)
    assert abs(found["kernel"] - expected["kernel"]).max() > 1e-2


@pytest.mark.parametrize("size", [1e-25, 1.0, 1e25])
def test_the_size_of_the_gradient_does_not_matter(size):
    optimizer, params = lars(1.0, trust_coefficient=0.1, mask=None), jnp.array([3.0, 4.0])
    updates, _ = optimizer.update(size * jnp.array([0.6, 0.8]), optimizer.init(params), params)
    np.testing.assert_allclose(updates, [-0.3, -0.4], rtol=1e-5)


def test_where_a_norm_is_zero_the_factor_is_one():
    optimizer = lars(0.5, mask=None)
    updates, _ = optimizer.update(jnp.ones(2), optimizer.init(jnp.zeros(2)), jnp.zeros(2))
    np.testing.assert_allclose(updates, -0.5)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"lars\(momentum\) is 2, expected a number in \[0, 1\]"):
        lars(momentum=2.0)
    with pytest.raises(ValueError, match="lars needs the parameters"):
        lars().update(jnp.ones(2), lars().init(jnp.ones(2)))

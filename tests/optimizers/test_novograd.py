"""NovoGrad: the formula, the first step, and one number a leaf for a second moment."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.novograd import novograd
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow, random_grads, random_params


def reference(theta, grads, rates, b1, b2, eps, eps_root, decay):
    m, v = np.zeros_like(theta), None
    for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        square = np.sum(g**2)
        v = square if v is None else b2 * v + (1 - b2) * square
        m = b1 * m + g / (np.sqrt(v + eps_root) + eps) + decay * theta
        theta = theta - eta * m
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize("numbers", [(0.9, 0.25, 1e-6, 0.0), (0.95, 0.98, 1e-2, 1e-3), (0.0, 0.0, 0.0, 0.0)])
def test_golden(rate, rates, numbers, x64):
    assert_follows(
        novograd(rate, *numbers, weight_decay=0.3),
        lambda p, g: reference(p, g, rates, *numbers, 0.3),
        bias=lambda p, g: reference(p, g, rates, *numbers, 0.0),
    )


def test_the_first_step_of_every_leaf_has_the_rate_for_its_length(x64):
    params, grads = random_params(), random_grads()
    path, states = follow(novograd(0.1, eps=0.0), params, grads)
    for name in params:
        assert np.linalg.norm(path[name][0] - params[name]) == pytest.approx(0.1, rel=1e-12)
        np.testing.assert_allclose(states.nu[name][0], np.sum(grads[name][0] ** 2), rtol=1e-12)
        assert states.nu[name].shape == (len(grads[name]),)


def test_zero_gradients_move_nothing_and_are_no_danger():
    optimizer = novograd(eps=0.0)
    updates, state = optimizer.update(jnp.zeros(3), optimizer.init(jnp.ones(3)), jnp.ones(3))
    np.testing.assert_array_equal(updates, 0)
    updates, _ = optimizer.update(jnp.ones(3), state, jnp.ones(3))
    assert jnp.isfinite(updates).all()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"novograd\(b2\) is 1, expected a number in \[0, 1\)"):
        novograd(b2=1.0)
    with pytest.raises(ValueError, match="novograd needs the parameters"):
        novograd().update(jnp.ones(2), novograd().init(jnp.ones(2)))


def test_a_mask_says_what_decays(x64):
    params, grads = random_params(), random_grads()
    numbers = (0.9, 0.25, 1e-6, 0.0)
    for mask, decays in ((None, (0.3, 0.3)), ({"kernel": False, "bias": True}, (0.0, 0.3))):
        path, _ = follow(novograd(0.1, *numbers, weight_decay=0.3, mask=mask), params, grads)
        for name, decay in zip(("kernel", "bias"), decays, strict=True):
            expected = np.stack(list(reference(params[name], grads[name], 0.1, *numbers, decay)))
            np.testing.assert_allclose(path[name], expected, rtol=1e-10)

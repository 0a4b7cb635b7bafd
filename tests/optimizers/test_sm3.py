"""SM3: the formula slice by slice, AdaGrad for vectors, and the bound that it keeps for tensors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.sm3 import sm3
from tests.optimizers.runs import RATES, falling_rate, follow


def reference(theta, grads, rates, beta, eps):
    """Algorithm SM3-II, entry by entry: a slice is an axis and an index of it."""
    slices = [(axis, i) for axis, size in enumerate(theta.shape) for i in range(size)]
    if theta.ndim == 0:
        slices = ["all"]
    entries = list(itertools.product(*map(range, theta.shape)))

    def covers(entry):
        return list(enumerate(entry)) or slices

    mu, m = dict.fromkeys(slices, 0.0), np.zeros_like(theta)
    for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        new, scaled = dict.fromkeys(slices, 0.0), np.zeros_like(theta)
        for entry in entries:
            bound = min(mu[r] for r in covers(entry)) + g[entry] ** 2
            scaled[entry] = g[entry] / np.sqrt(bound + eps)
            for r in covers(entry):
                new[r] = max(new[r], bound)
        mu, m = new, beta * m + (1 - beta) * scaled
        theta = theta - eta * m
        yield theta.copy(), np.array(list(mu.values()))


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize("shape", [(), (4,), (3, 2), (2, 3, 2)], ids=str)
@pytest.mark.parametrize(("beta", "eps"), [(0.9, 1e-8), (0.0, 0.3)])
def test_golden(shape, rate, rates, beta, eps, x64):
    rng = np.random.default_rng(0)
    theta, grads = rng.normal(size=shape), rng.normal(size=(len(RATES), *shape))
    found, states = follow(sm3(rate, beta, eps), theta, grads)
    expected, maxima = zip(*reference(theta, grads, rates, beta, eps), strict=True)
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(states.maxima.reshape(len(RATES), -1), np.stack(maxima), rtol=1e-12)


def test_the_bound_is_never_below_the_sum_of_squares(x64):
    """Of AdaGrad, entry by entry; so its rates are never above AdaGrad's."""
    grads = np.random.default_rng(0).normal(size=(20, 4, 3))
    _, states = follow(sm3(), np.zeros((4, 3)), grads)
    rows, columns = np.split(np.asarray(states.maxima), [4], axis=1)
    bound = np.minimum(rows[:, :, None], columns[:, None, :])
    assert (bound >= np.cumsum(grads**2, axis=0) - 1e-12).all()


def test_the_accumulators_of_a_tensor_are_as_many_as_its_slices():
    state = sm3().init({"kernel": jnp.zeros((3, 3, 16, 32)), "bias": jnp.zeros(32), "scale": jnp.zeros(())})
    assert jax.tree.map(jnp.shape, state.maxima) == {"kernel": (54,), "bias": (32,), "scale": ()}


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"sm3\(momentum\) is 1, expected a number in \[0, 1\)"):
        sm3(momentum=1.0)

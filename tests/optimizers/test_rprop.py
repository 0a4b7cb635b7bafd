"""Rprop: the formula, what each change of sign does, and that the size of gradients does not matter."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.rprop import rprop
from jaxopt_notes.schedules import inverse_time
from tests.optimizers.runs import assert_follows, follow, random_grads, random_params


def reference(theta, grads, rate, minus, plus, low, high):
    s, last = np.full_like(theta, rate), np.zeros_like(theta)
    for g in grads:
        product = g * last
        s = np.where(product > 0, np.minimum(s * plus, high), s)
        s = np.where(product < 0, np.maximum(s * minus, low), s)
        last = np.where(product < 0, 0.0, g)
        theta = theta - s * np.sign(last)
        yield theta


@pytest.mark.parametrize("numbers", [(0.1, 0.5, 1.2, 1e-6, 50.0), (0.1, 0.6, 1.5, 0.05, 0.13)])
def test_golden(numbers, x64):
    assert_follows(rprop(*numbers), lambda p, g: reference(p, g, *numbers))


def test_signs_of_gradients(x64):
    """After a change of sign: no step, and then a step of the halved size, neither larger nor smaller."""
    signs = np.array([1, 1, -1, -1, -1, 0, -1, 1, -1, 1, 1.0])
    path, states = follow(rprop(1.0, 0.5, 2.0), np.zeros(1), signs[:, None])
    steps = np.diff(path[:, 0], prepend=0)
    np.testing.assert_allclose(steps, [-1, -2, 0, 1, 2, 0, 2, 0, 1, 0, -0.5], atol=1e-12)
    np.testing.assert_allclose(states.step_sizes[:, 0], [1, 2, 1, 1, 2, 2, 2, 1, 1, 0.5, 0.5])


def test_the_size_of_gradients_does_not_matter(x64):
    params, grads = random_params(), random_grads()
    found, _ = follow(rprop(), params, grads)
    other, _ = follow(rprop(), params, {name: 1e-8 * g**3 for name, g in grads.items()})
    np.testing.assert_array_equal(found["kernel"], other["kernel"])


def test_signs_take_one_byte():
    state = rprop().init({"w": jnp.zeros(3, jnp.bfloat16), "z": jnp.zeros(2, jnp.complex64)})
    assert state.signs["w"].dtype == jnp.int8
    assert state.step_sizes["w"].dtype == jnp.float32
    assert state.signs["z"].dtype == jnp.complex64
    assert state.step_sizes["z"].dtype == jnp.float32


def test_a_schedule_gives_the_first_step_size():
    sizes = rprop(inverse_time(0.3, 0.5)).init(jnp.zeros(2)).step_sizes
    np.testing.assert_allclose(sizes, 0.3, rtol=1e-6)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"rprop\(eta_plus\) is 0.5, expected a number in \[1, inf\)"):
        rprop(eta_plus=0.5)

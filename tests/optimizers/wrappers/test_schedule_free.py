"""An average in place of a schedule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import (
    adam,
    evaluation_params,
    polyak_average,
    schedule_free,
    schedule_free_adamw,
    schedule_free_sgd,
    sgd,
    skip_nonfinite,
)
from tests.optimizers.runs import STEPS, assert_follows, falling_rate, follow, random_grads, random_params


def averages(theta, steps, rates, b1, power):
    """y and x after each step, for a base optimizer that moves z by `steps(t, y)`."""
    x, z, y, total = theta, theta, theta, 0.0
    for t in range(len(rates)):
        z = z + steps(t, y)
        weight = max(rates[: t + 1]) ** power
        total += weight
        x = x + weight / total * (z - x)
        y = b1 * x + (1 - b1) * z
        yield y, x


@pytest.mark.parametrize(("b1", "power", "decay"), [(0.9, 2.0, 0.0), (0.6, 0.0, 0.1), (1.0, 1.0, 0.0)])
def test_gradient_descent(b1, power, decay, x64):
    """The three sequences of the paper, with a rate that rises and falls: its largest value counts."""
    rates = 0.2 * np.sin(1 + 0.3 * np.arange(STEPS)) ** 2

    def reference(theta, grads):
        step = lambda t, y: -rates[t] * (grads[t] + decay * y)  # noqa: E731
        for y, _ in averages(theta, step, rates, b1, power):
            yield y

    def rate(step):
        return 0.2 * jnp.sin(1 + 0.3 * jnp.asarray(step, float)) ** 2

    assert_follows(schedule_free_sgd(rate, b1, weight_decay=decay, weight_power=power, mask=None), reference)


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_adamw(power, x64):
    """With a rate that rises, so that the weights of the steps differ."""
    rates = 0.02 * (1 + np.arange(STEPS))

    def reference(theta, grads):
        v = [np.zeros_like(theta)]
        for g in grads:
            v.append(0.9 * v[-1] + 0.1 * g**2)

        def step(t, y):
            return -rates[t] * (grads[t] / (np.sqrt(v[t + 1] / (1 - 0.9 ** (t + 1))) + 1e-3) + 0.2 * y)

        for y, _ in averages(theta, step, rates, 0.8, power):
            yield y

    optimizer = schedule_free_adamw(
        lambda step: 0.02 * (1 + jnp.asarray(step, float)), 0.8, 0.9, 1e-3, weight_decay=0.2,
        weight_power=power, mask=None,
    )  # fmt: skip
    assert_follows(optimizer, reference)


@pytest.mark.notes("S1-70")
@pytest.mark.parametrize("make", [schedule_free_sgd, schedule_free_adamw])
def test_what_is_evaluated_is_the_average(make, x64):
    params, grads = random_params(), random_grads()
    optimizer = make(falling_rate, 0.7)
    path, states = follow(optimizer, params, grads)
    found = jax.vmap(lambda p, s: evaluation_params(optimizer, p, s))(path, states)["kernel"]
    z = np.concatenate([params["kernel"][None], states.z["kernel"]])
    for t in range(STEPS):  # the largest rate is the first: all weights are the same
        np.testing.assert_allclose(found[t], z[1 : t + 2].mean(axis=0), rtol=1e-10)


def test_at_b1_1_it_is_polyak_averaging_of_the_base(x64):
    """Given gradients (not those of a loss), z is the run of the base, and its mean is held."""
    params, grads = random_params(), random_grads()
    base = polyak_average(sgd(0.1))
    path, states = follow(base, params, grads)
    mean = jax.vmap(base.evaluation_params)(path, states)
    found, _ = follow(schedule_free(sgd(0.1), 1.0), params, grads)
    np.testing.assert_allclose(found["kernel"], mean["kernel"], rtol=1e-10)


def test_the_wrapper_of_an_optimizer_is_the_form_for_it(x64):
    """It finds the rate of what it wraps, a schedule too; without momentum Adam makes the AdamW form."""
    params, grads = random_params(), random_grads()
    for wrapped, form in [
        (schedule_free(sgd(falling_rate)), schedule_free_sgd(falling_rate)),
        (schedule_free(adam(falling_rate, b1=0.0)), schedule_free_adamw(falling_rate)),
    ]:
        found, expected = (follow(o, params, grads)[0] for o in (wrapped, form))
        np.testing.assert_allclose(found["kernel"], expected["kernel"], rtol=1e-10)


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_the_power_of_the_wrapper_is_that_of_the_form(power, x64):
    """With a rate that rises, where it matters."""
    params, grads = random_params(), random_grads()
    rising = lambda step: 0.02 * (1 + jnp.asarray(step, float))  # noqa: E731
    found, expected, default = (
        follow(optimizer, params, grads)[0]["kernel"]
        for optimizer in (
            schedule_free(sgd(rising), weight_power=power),
            schedule_free_sgd(rising, weight_power=power),
            schedule_free_sgd(rising),
        )
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert np.abs(found - default).max() > 1e-3


def test_steps_of_a_warm_up_from_0_weigh_nothing():
    optimizer = schedule_free_sgd(lambda step: jnp.minimum(0.1 * jnp.asarray(step, jnp.float32), 0.2))
    path, states = follow(optimizer, jnp.ones(2), jnp.ones((5, 2)))
    assert np.isfinite(path).all()
    np.testing.assert_array_equal(path[0], 1)
    np.testing.assert_allclose(states.weight_sum, [0, 0.01, 0.05, 0.09, 0.13], rtol=1e-5)


def test_a_step_not_taken_does_not_weigh():
    optimizer = skip_nonfinite(schedule_free_sgd(0.5))
    path, states = follow(optimizer, jnp.zeros(()), jnp.array([1.0, jnp.nan, 1.0]))
    alone, _ = follow(optimizer, jnp.zeros(()), jnp.array([1.0, 1.0]))
    np.testing.assert_allclose(path[jnp.array([0, 2])], alone, rtol=1e-6)
    np.testing.assert_allclose(states.inner.weight_sum, [0.25, 0.25, 0.5])


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"schedule_free_sgd\(b1\) is 0"):
        schedule_free_sgd(b1=0.0)
    with pytest.raises(ValueError, match=r"schedule_free\(weight_power\) is -1"):
        schedule_free(sgd(), weight_power=-1.0)
    with pytest.raises(ValueError, match="params is None"):
        schedule_free_adamw().update(jnp.ones(1), schedule_free_adamw().init(jnp.ones(1)))

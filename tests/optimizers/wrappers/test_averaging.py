"""Averages of the parameters along a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import adam, chain, evaluation_params, nesterov, sgd, skip_nonfinite
from jaxopt_notes.optimizers.wrappers.averaging import ema_params, polyak_average, swa
from tests.optimizers.runs import STEPS, follow, random_grads, random_params

AVERAGES = {"ema": ema_params, "polyak": polyak_average, "swa": swa}


def averages(optimizer):
    """The path of the parameters, the average after each step, and the states."""
    params, grads = random_params(), random_grads()
    path, states = follow(optimizer, params, grads)
    found = jax.jit(jax.vmap(lambda p, s: evaluation_params(optimizer, p, s)))(path, states)
    return path, jax.device_get(found), states


@pytest.mark.notes("S1-70")
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.995])
@pytest.mark.parametrize("debias", [True, False])
def test_ema_in_closed_form(decay, debias, x64):
    """Σᵢ (1 − d)·dᵗ⁻ⁱ·θᵢ: over its weights, or with dᵗ·θ₀."""
    path, found, _ = averages(ema_params(adam(0.1), decay, debias=debias))
    for name, start in random_params().items():
        for t in range(1, STEPS + 1):
            weights = (1 - decay) * decay ** np.arange(t - 1, -1, -1)
            expected = np.tensordot(weights, path[name][:t], 1)
            expected = expected / weights.sum() if debias else expected + decay**t * start
            np.testing.assert_allclose(found[name][t - 1], expected, rtol=1e-10, atol=1e-14)


@pytest.mark.notes("S1-70")
@pytest.mark.parametrize("start", [0, 1, 5])
def test_polyak_average_is_the_mean_since_the_start(start, x64):
    path, found, _ = averages(polyak_average(adam(0.1), start))
    for name, theta0 in random_params().items():
        whole = np.concatenate([theta0[None], path[name]])
        for t in range(1, STEPS + 1):
            expected = whole[start : t + 1].mean(axis=0) if t >= start else whole[t]
            np.testing.assert_allclose(found[name][t - 1], expected, rtol=1e-12, atol=1e-15)


def test_samples_are_counted_whole_whatever_is_between_them():
    """XLA divides by the product with 1/41, and 41·(1/41) is below 1."""
    weights = jax.jit(lambda count: swa(sgd(), 0, 41).weight(count))(41 * np.arange(60))
    np.testing.assert_allclose(weights, 1 / np.arange(1, 61), rtol=1e-6)


@pytest.mark.parametrize(("start", "every"), [(4, 3), (1, 1), (2, 5)])
def test_swa_is_the_mean_at_the_ends_of_cycles(start, every, x64):
    path, found, _ = averages(swa(adam(0.1), start, every))
    for name in path:
        for t in range(start, STEPS + 1):
            expected = path[name][start - 1 : t : every].mean(axis=0)
            np.testing.assert_allclose(found[name][t - 1], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.notes("S1-70")
@pytest.mark.parametrize(
    "average", [lambda o: ema_params(o, 0.995), lambda o: polyak_average(o, 500)], ids=["ema", "polyak"]
)
def test_lower_variance_on_a_noisy_quadratic(average):
    """½θ² with noise on the gradient, 64 runs: SGD settles at variance η/(2 − η), averages far below."""
    optimizer = average(sgd(0.2))

    def run(key):
        def step(carry, noise):
            params, state = carry
            updates, state = optimizer.update(params + noise, state, params)
            return (params + updates, state), None

        start = jnp.array(0.0)
        noise = jax.random.normal(key, (1500,))
        (params, state), _ = jax.lax.scan(step, (start, optimizer.init(start)), noise)
        return params, evaluation_params(optimizer, params, state)

    last, mean = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 64))
    np.testing.assert_allclose(jnp.var(last), 0.2 / 1.8, rtol=0.5)
    assert jnp.var(mean) < 0.1 * jnp.var(last)


@pytest.mark.parametrize("name", AVERAGES)
def test_the_path_is_the_optimizers_own_and_the_start_its_own_average(name, x64):
    optimizer = AVERAGES[name](adam(0.1))
    path, _, _ = averages(optimizer)
    alone, _ = follow(adam(0.1), random_params(), random_grads())
    jax.tree.map(np.testing.assert_array_equal, path, alone)
    params = random_params()
    found = evaluation_params(optimizer, params, optimizer.init(params))
    jax.tree.map(np.testing.assert_array_equal, found, params)


def test_the_iterate_of_nesterov_is_averaged_not_its_look_ahead_point(x64):
    inner = nesterov(0.1, 0.9)
    _, found, _ = averages(polyak_average(inner))
    path, states = follow(inner, random_params(), random_grads())
    iterates = jax.vmap(lambda p, s: evaluation_params(inner, p, s))(path, states)
    np.testing.assert_allclose(found["kernel"][-1], np.mean(iterates["kernel"], axis=0), rtol=1e-12)


def test_reaches_through_chains_and_skipped_steps():
    """A step that is not taken adds no parameters to the mean."""
    optimizer = skip_nonfinite(chain(sgd(2.0), polyak_average(sgd(0.5))))
    path, states = follow(optimizer, jnp.zeros(()), jnp.array([1.0, jnp.nan, 2.0]))
    np.testing.assert_array_equal(path, [1, 1, 3])
    found = jax.vmap(lambda p, s: evaluation_params(optimizer, p, s))(path, states)
    np.testing.assert_allclose(found, [1, 1, 2], rtol=1e-6)


def test_a_bfloat16_average_is_kept_in_float32():
    """θ = 1 and 1 + 2⁻⁷ in turn: their mean lies between two numbers of bfloat16."""
    optimizer = polyak_average(sgd(1.0))
    grads = jnp.where(jnp.arange(8) % 2 == 0, -(2.0**-7), 2.0**-7).astype(jnp.bfloat16)
    path, states = follow(optimizer, jnp.ones((), jnp.bfloat16), grads)
    np.testing.assert_allclose(states.mean[-1], 1 + 2.0**-7 * 4 / 7, rtol=1e-6)  # of θ₁ … θ₇
    assert evaluation_params(optimizer, path[-1], jax.tree.map(lambda x: x[-1], states)).dtype == jnp.bfloat16


def test_integer_leaves_and_leaves_without_gradients_stay():
    params = {"n": jnp.array(3), "w": jnp.ones(2), "none": None}
    optimizer = ema_params(sgd(0.1))
    grads = {"n": np.zeros((), jax.dtypes.float0), "w": None, "none": None}
    _, state = optimizer.update(grads, optimizer.init(params), params)
    jax.tree.map(np.testing.assert_array_equal, evaluation_params(optimizer, params, state), params)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ema_params(sgd(), 1.0), r"ema_params\(decay\) is 1, expected a number in \[0, 1\)"),
        (lambda: polyak_average(sgd(), -1), r"polyak_average\(start\) is -1"),
        (lambda: swa(sgd(), every=0), r"swa\(every\) is 0"),
        (lambda: swa(sgd()).update(jnp.ones(1), swa(sgd()).init(jnp.ones(1))), "params is None"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""Batch renormalization: its corrections, its bounds, and that training and evaluation agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import batch_norm, batch_renorm
from jaxopt_notes.schedules import linear
from tests.compiled import apply, grad, init

STATE = {"mean": np.array([1.0, -1.0]), "var": np.array([4.0, 0.25]), "count": np.array(6.0)}


def run(layer, x, train=True, params=None):
    state = {name: jnp.asarray(leaf) for name, leaf in STATE.items()}
    params = params or {"scale": jnp.array([2.0, 3.0]), "bias": jnp.array([0.5, -0.5])}
    return apply(layer, params, state, jnp.asarray(x), train=train)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(0.8, 1.5, (5, 2))


@pytest.mark.notes("S4-72")
def test_formula_and_gradient(x, x64):
    """ŷ = (x − μ_B)/σ_B·r + d; through r and d goes no gradient: δx is BN's, times r."""
    eps, delta = 0.1, np.random.default_rng(1).normal(size=x.shape)
    sigma_batch, sigma = np.sqrt(x.var(0) + eps), np.sqrt(STATE["var"] + eps)
    r = np.clip(sigma_batch / sigma, 1 / 1.5, 1.5)
    d = np.clip((x.mean(0) - STATE["mean"]) / sigma, -0.7, 0.7)
    assert r[1] == 1.5  # bounded
    assert r[0] != 1.5
    assert d[1] == 0.7
    assert abs(d[0]) < 0.7
    layer = batch_renorm(1.5, 0.7, eps=eps)
    hat = (x - x.mean(0)) / sigma_batch
    y, state = run(layer, x)
    np.testing.assert_allclose(y, [2, 3] * (hat * r + d) + [0.5, -0.5], rtol=1e-10)
    np.testing.assert_allclose(state["mean"], 0.99 * STATE["mean"] + 0.01 * x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(state["var"], 0.99 * STATE["var"] + 0.01 * x.var(0), rtol=1e-12)
    dx = grad(lambda x: jnp.sum(delta * run(layer, x)[0]))(jnp.asarray(x))
    inner = delta - delta.mean(0) - hat * (delta * hat).mean(0)
    np.testing.assert_allclose(dx, [2, 3] * r / sigma_batch * inner, rtol=1e-9, atol=1e-12)


@pytest.mark.notes("S4-72")
def test_unbounded_training_is_evaluation_and_fully_bounded_is_batch_norm(x, x64):
    free = batch_renorm(1e6, 1e6)
    np.testing.assert_allclose(run(free, x)[0], run(free, x, train=False)[0], rtol=1e-10)
    params = {"scale": jnp.array([2.0, 3.0]), "bias": jnp.array([0.5, -0.5])}
    norm = batch_norm(eps=1e-3)
    want, _ = apply(norm, params, init(norm, None, jnp.asarray(x))[1], jnp.asarray(x), train=True)
    np.testing.assert_allclose(run(batch_renorm(1.0, 0.0), x)[0], want, rtol=1e-12)


@pytest.mark.full
@pytest.mark.notes("S4-72")
def test_small_batches_of_one_kind_are_evaluated_as_they_were_trained(key):
    """Batches of four from one of two distant clusters: batch norm's evaluation is of another function."""

    def gap(layer):
        def batch(key):
            side = 3 * jax.random.rademacher(key, (), jnp.float32)
            return side + jax.random.normal(jax.random.fold_in(key, 1), (4, 1))

        def step(state, key):
            return layer.apply(params, state, batch(key), train=True)[1], None

        params, state = layer.init(key, jnp.ones((4, 1)))
        state, _ = jax.lax.scan(step, state, jax.random.split(key, 300))
        x = jax.vmap(batch)(jax.random.split(jax.random.key(7), 20))
        apply = jax.vmap(lambda x, train: layer.apply(params, state, x, train=train)[0], (0, None))
        return jnp.mean(jnp.abs(apply(x, True) - apply(x, False)))

    assert jax.jit(gap)(batch_renorm(5.0, 5.0, momentum=0.95)) < 1e-4
    assert jax.jit(gap)(batch_norm(momentum=0.95)) > 0.5


def test_bounds_may_be_schedules_of_the_batches_seen(x, x64):
    """After the six batches of the state: r_max 1 + 6/10 and d_max 6/10."""
    scheduled = batch_renorm(linear(1.0, 2.0, 10), linear(0.0, 1.0, 10))
    y, state = run(scheduled, x)
    np.testing.assert_allclose(y, run(batch_renorm(1.6, 0.6), x)[0], rtol=1e-12)
    assert float(state["count"]) == 7


def test_errors():
    with pytest.raises(ValueError, match=r"batch_renorm\(r_max\) is 0.5"):
        batch_renorm(0.5)
    with pytest.raises(ValueError, match=r"batch_renorm\(d_max\) is -1"):
        batch_renorm(d_max=-1.0)

"""The perceptron: what stands where, against the formula in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import Activation, BatchNorm, Dense, Dropout, mlp
from tests.compiled import apply, init, value_and_grad


def kinds(model):
    return [type(layer) for layer in model.layers]


@pytest.mark.notes("S0-23")
def test_dropout_follows_hidden_activations_and_never_the_output(key):
    block = [Dense, Activation, Dropout]
    assert kinds(mlp([16, 16, 16, 1], dropout=0.1)) == 3 * block + [Dense]
    assert kinds(mlp([3], dropout=0.1)) == [Dense]
    model = mlp([8, 4], dropout=1.0)  # everything hidden is dropped, so the output is its bias
    params, state = init(model, key, jnp.ones((2, 3)))
    params["layers_3"]["bias"] = jnp.arange(1.0, 5.0)
    y, _ = apply(model, params, state, jnp.ones((2, 3)), key=key, train=True)
    np.testing.assert_array_equal(y, np.tile(np.arange(1.0, 5.0), (2, 1)))


@pytest.mark.notes("S1-33", "S1-37")
def test_batch_norm_stands_before_the_activation_by_default():
    assert kinds(mlp([4, 2], batch_norm=True)) == [Dense, BatchNorm, Activation, Dense]
    assert kinds(mlp([4, 2], batch_norm="before")) == [Dense, BatchNorm, Activation, Dense]
    assert kinds(mlp([4, 2], batch_norm="after", dropout=0.0)) == [
        Dense,
        Activation,
        BatchNorm,
        Dropout,
        Dense,
    ]


def test_formula(x64, key):
    x = np.random.default_rng(0).normal(size=(5, 3))
    model = mlp([8, 4, 2], activation="tanh", dropout=0.5)
    params, state = init(model, key, jnp.asarray(x))
    h = x
    for name in ("layers_0", "layers_3"):
        h = np.tanh(h @ np.asarray(params[name]["kernel"]) + np.asarray(params[name]["bias"]))
    want = h @ np.asarray(params["layers_6"]["kernel"])
    np.testing.assert_allclose(apply(model, params, state, jnp.asarray(x))[0], want, rtol=1e-12)


def test_default_kernels_are_for_rectifiers(key):
    kernel = init(mlp([400, 1]), key, jnp.ones((1, 300)))[0]["layers_0"]["kernel"]
    want = np.sqrt(2 / 300)
    assert abs(float(kernel.std()) - want) < 4 * want / np.sqrt(2 * kernel.size)


@pytest.mark.full
def test_a_batch_of_rates_and_seeds_is_the_loop(key):
    x = jax.random.normal(key, (4, 3))
    rates, keys = jnp.array([0.0, 0.5, 1.0]), jax.random.split(key, 3)

    def run(rate, key):
        model = mlp([8, 2], dropout=rate, batch_norm=True)
        params, state = init(model, key, x)

        def loss(params, rate):
            y, _ = apply(mlp([8, 2], dropout=rate, batch_norm=True), params, state, x, key=key, train=True)
            return jnp.sum(y**2)

        return value_and_grad(loss, (0, 1))(params, rate)

    batch = jax.jit(jax.vmap(run))(rates, keys)
    single = jax.jit(run)
    for i in range(3):
        one = single(rates[i], keys[i])
        close = lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=2e-5, atol=2e-5)  # noqa: E731
        jax.tree.map(close, batch, one)


def test_errors():
    with pytest.raises(ValueError, match=r"mlp\(sizes\) is empty"):
        mlp([])
    with pytest.raises(TypeError, match=r"mlp\(sizes\) is 2.5"):
        mlp([2.5])
    with pytest.raises(ValueError, match=r"mlp\(batch_norm\) is 'pre'"):
        mlp([2, 2], batch_norm="pre")

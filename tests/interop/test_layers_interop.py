"""Layers against Flax and torch: the same numbers from the same weights, moved by path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import (
    average_pool,
    batch_norm,
    conv,
    dense,
    dropout,
    flatten,
    layer_norm,
    max_pool,
    mlp,
    serial,
)

nn = pytest.importorskip("flax.linen")

pytestmark = pytest.mark.full


def assert_close(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_weights_move_to_flax_sequential_by_path(key):
    """Convolution, pooling, flatten and dense, between plain functions, at the same indices."""
    x = jax.random.normal(key, (4, 8, 8, 3))
    ours = serial(conv(5, strides=2), jnp.tanh, max_pool(2), flatten(), layer_norm(), dense(2))
    params, state = ours.init(key, x)
    peer = nn.Sequential([
        nn.Conv(5, (3, 3), strides=2), jnp.tanh, lambda x: nn.max_pool(x, (2, 2), (2, 2)),
        lambda x: x.reshape(x.shape[0], -1), nn.LayerNorm(epsilon=1e-5), nn.Dense(2),
    ])  # fmt: skip
    theirs = peer.init(key, x)["params"]
    assert jax.tree.map(jnp.shape, theirs) == jax.tree.map(jnp.shape, params)
    for weights in (params, theirs):
        assert_close(ours.apply(weights, state, x)[0], peer.apply({"params": weights}, x))


@pytest.mark.notes("S1-38")
def test_batch_norm_in_flax(key):
    """Flax has the biased variance; a model with state moves by path too."""
    x = jax.random.normal(key, (16, 4)) * 3 + 1
    ours = serial(dense(5), batch_norm(0.9, 1e-5, unbiased=False), jnp.tanh, dense(2))
    params, state = ours.init(key, x)
    for train in (True, False):
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)
        peer = nn.Sequential([nn.Dense(5), norm, jnp.tanh, nn.Dense(2)])
        y, moved = peer.apply({"params": params, "batch_stats": state}, x, mutable=["batch_stats"])
        z, after = ours.apply(params, state, x, train=train)
        assert_close(y, z)
        jax.tree.map(assert_close, moved["batch_stats"], after)


def test_pooling_in_flax(key):
    x = jax.random.normal(key, (2, 7, 9, 3))
    for padding in ("VALID", "SAME"):
        for window, strides in (((2, 2), (2, 2)), ((3, 2), (2, 1))):
            with jax.numpy_dtype_promotion("standard"):  # Flax divides by a NumPy integer
                want = nn.max_pool(x, window, strides, padding), nn.avg_pool(x, window, strides, padding)
            got = (make(window, strides, padding).apply({}, (), x)[0] for make in (max_pool, average_pool))
            for a, b in zip(got, want, strict=True):
                assert_close(a, b)


@pytest.mark.notes("S0-21")
def test_dropout_rate_means_the_same_in_flax(key):
    x = jnp.ones(20_000)
    theirs = nn.Dropout(0.2, deterministic=False).apply({}, x, rngs={"dropout": key})
    ours, _ = dropout(0.2).apply({}, (), x, key=key, train=True)
    assert_close(np.unique(ours), np.unique(theirs))
    assert abs(float((ours == 0).mean()) - float((theirs == 0).mean())) < 4 * np.sqrt(2 * 0.16 / 20_000)


@pytest.mark.notes("S1-38", "S4-61")
@pytest.mark.parametrize("shape", [(16, 4), (5, 6, 6, 4)])
def test_batch_norm_in_torch(shape, key, x64):
    """Values, gradients and running statistics (unbiased) over three batches, then evaluation."""
    torch = pytest.importorskip("torch")
    kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    peer = kind(4, eps=1e-5, momentum=0.1, dtype=torch.float64)
    rng = np.random.default_rng(0)
    scale, bias = rng.normal(size=4), rng.normal(size=4)
    with torch.no_grad():
        peer.weight.copy_(torch.tensor(scale))
        peer.bias.copy_(torch.tensor(bias))
    params = {"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)}
    _, state = batch_norm().init(key, jnp.ones(shape, jnp.float64))
    for train in (True, True, True, False):
        peer.train(train)
        x = rng.normal(1, 2, shape)
        there = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
        out = peer(there)
        out.sin().sum().backward()

        def loss(x, state=state, train=train):
            y, after = batch_norm().apply(params, state, x, train=train)
            return jnp.sum(jnp.sin(y)), (y, after)

        gradient, (y, state) = jax.grad(loss, has_aux=True)(jnp.asarray(x))
        assert_close(np.moveaxis(np.asarray(y), -1, 1), out.detach().numpy(), 1e-10)
        assert_close(np.moveaxis(np.asarray(gradient), -1, 1), there.grad.numpy(), 1e-10)
        assert_close(state["mean"], peer.running_mean.numpy(), 1e-10)
        assert_close(state["var"], peer.running_var.numpy(), 1e-10)


@pytest.mark.notes("S4-62")
def test_layer_norm_in_torch(key, x64):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(6, 5))
    params, _ = layer_norm().init(key, jnp.asarray(x))
    want = torch.nn.functional.layer_norm(torch.tensor(x), (5,)).numpy()
    assert_close(layer_norm().apply(params, (), jnp.asarray(x))[0], want, 1e-12)


def test_convolution_and_pooling_in_torch(key, x64):
    """Values and gradients, of ties too: torch gives them to the first value."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, kernel = (
        rng.integers(-1, 2, (2, 8, 7, 3)).astype(float),
        rng.integers(-1, 2, (3, 2, 3, 4)).astype(float),
    )
    there = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    weight = torch.tensor(kernel.transpose(3, 2, 0, 1).copy(), requires_grad=True)
    out = torch.nn.functional.max_pool2d(torch.nn.functional.conv2d(there, weight, stride=(2, 1)), 2)
    (out * torch.arange(out.numel(), dtype=torch.float64).reshape(out.shape)).sum().backward()
    model = serial(conv(4, (3, 2), strides=(2, 1), padding="VALID", use_bias=False), max_pool(2))

    def loss(x, kernel):
        y = model.apply({"layers_0": {"kernel": kernel}}, (), x)[0].transpose(0, 3, 1, 2)
        return jnp.sum(y * jnp.arange(y.size, dtype=y.dtype).reshape(y.shape)), y

    (dx, dkernel), y = jax.grad(loss, (0, 1), has_aux=True)(jnp.asarray(x), jnp.asarray(kernel))
    assert_close(y, out.detach().numpy(), 1e-12)
    assert_close(dx.transpose(0, 3, 1, 2), there.grad.numpy(), 1e-12)
    assert_close(dkernel.transpose(3, 2, 0, 1), weight.grad.numpy(), 1e-12)


def test_mlp_is_flax_sequential(key):
    x = jax.random.normal(key, (4, 6))
    params, state = mlp([8, 3], activation="relu").init(key, x)
    peer = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(3)])
    assert_close(mlp([8, 3]).apply(params, state, x)[0], peer.apply({"params": params}, x))

"""The convolutional network: shapes, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.activations import ACTIVATIONS
from jaxopt_notes.initializers import constant
from jaxopt_notes.layers import cnn
from tests.compiled import apply, init, value_and_grad


def test_shapes(key):
    params, state = init(cnn([4, 8], [16, 10], dropout=0.1, batch_norm=True), key, jnp.ones((2, 8, 8, 1)))
    shapes = {name: p["kernel"].shape for name, p in params.items() if "kernel" in p}
    assert shapes == {
        "layers_0": (3, 3, 1, 4),
        "layers_4": (3, 3, 4, 8),
        "layers_9": (2 * 2 * 8, 16),
        "layers_13": (16, 10),
    }
    assert set(state) == {"layers_1", "layers_5", "layers_10"}
    assert "bias" not in params["layers_0"]


def test_gradient_descent_in_a_scan_separates_bars(key):
    """Horizontal from vertical bars at any place: the loss falls from log 2 to almost nothing."""
    bars = np.zeros((16, 8, 8, 1), np.float32)
    for i in range(8):
        bars[i, i], bars[8 + i, :, i] = 1, 1
    x, labels = jnp.asarray(bars), jnp.repeat(jnp.arange(2), 8)
    model = cnn([4, 8], [2])
    params, state = init(model, key, x)

    def loss(params):
        logits = jax.nn.log_softmax(apply(model, params, state, x)[0])
        return -jnp.mean(jnp.take_along_axis(logits, labels[:, None], 1))

    def step(params, _):
        value, grads = value_and_grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.3 * g, params, grads), value

    _, losses = jax.jit(lambda p: jax.lax.scan(step, p, None, length=80))(params)
    assert losses[-1] < 0.05 < 0.4 < losses[0]


def test_too_many_poolings_are_named(key):
    with pytest.raises(ValueError, match="fewer layers"):
        init(cnn([4, 4, 4, 4], [10]), key, jnp.ones((2, 8, 8, 1)))


def test_every_argument_reaches_every_layer_it_is_for(key):
    x = jnp.arange(32.0).reshape(1, 8, 4, 1)
    model = cnn(
        [2, 3], [5, 4], "tanh", kernel_init=constant(0.5), kernel_size=(5, 1), pool=(1, 2), batch_norm="after"
    )
    params, _ = model.init(key, x)
    kernels = {name: p["kernel"] for name, p in params.items() if "kernel" in p}
    assert [k.shape for k in kernels.values()] == [(5, 1, 1, 2), (5, 1, 2, 3), (8 * 1 * 3, 5), (5, 4)]
    assert all((k == 0.5).all() for k in kernels.values())
    names = [type(layer).__name__ for layer in model.layers]
    block = ["Conv", "Activation", "BatchNorm", "MaxPool"]
    assert names == [*block, *block, "Flatten", "Dense", "Activation", "BatchNorm", "Dense"]
    assert all(
        layer.function.func is ACTIVATIONS["tanh"] for layer in model.layers if hasattr(layer, "function")
    )
    assert [layer.window for layer in model.layers if hasattr(layer, "window")] == [(1, 2)] * 2

"""Convolutions against torch in float64: outputs and all gradients, with its weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import conv, conv_transpose, depthwise_conv

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.full


def assert_same_as_torch(layer, peer, shape, to_ours, key):
    """`to_ours` turns torch's weight into our kernel; images are channels last here, first there."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    there = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.copy_(torch.tensor(rng.normal(size=tuple(parameter.shape))))
    out = peer(there)
    out.sin().sum().backward()
    params = {
        "kernel": jnp.asarray(to_ours(peer.weight.detach().numpy())),
        "bias": jnp.asarray(peer.bias.detach().numpy()),
    }

    @jax.jit
    def gradients(x, params):
        def loss(x, params):
            y = layer.apply(params, (), x)[0]
            return jnp.sum(jnp.sin(y)), y

        return jax.grad(loss, (0, 1), has_aux=True)(x, params)

    (dx, dparams), y = gradients(jnp.asarray(x), params)
    same = [
        (np.moveaxis(y, -1, 1), out.detach().numpy()),
        (np.moveaxis(dx, -1, 1), there.grad.numpy()),
        (dparams["kernel"], to_ours(peer.weight.grad.numpy())),
        (dparams["bias"], peer.bias.grad.numpy()),
    ]
    for ours, theirs in same:
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    assert jax.tree.map(jnp.shape, layer.init(key, jnp.asarray(x))[0]) == jax.tree.map(jnp.shape, params)


def kernel_of(weight):
    """[O, I, h, w] to [h, w, I, O]; of a transposed convolution [I, O, h, w] to [h, w, O, I]."""
    return np.moveaxis(weight, (0, 1), (-1, -2))


F64 = {"dtype": torch.float64}
CONVOLUTIONS = {
    "signal": (conv(4, (3,), padding=2, strides=2), torch.nn.Conv1d(3, 4, 3, 2, 2, **F64), (2, 7, 3)),
    "volume": (conv(4, (2, 1, 3), padding="VALID"), torch.nn.Conv3d(2, 4, (2, 1, 3), **F64), (1, 3, 4, 3, 2)),
    "image": (
        conv(6, (3, 2), strides=(1, 2), padding=((2, 2), (1, 1)), dilation=(2, 1), groups=2),
        torch.nn.Conv2d(4, 6, (3, 2), (1, 2), (2, 1), (2, 1), 2, **F64), (2, 7, 5, 4),
    ),
    "even": (conv(3, 4), torch.nn.Conv2d(2, 3, 4, padding="same", **F64), (1, 5, 6, 2)),
    "circular": (
        conv(3, 5, padding="CIRCULAR", strides=2),
        torch.nn.Conv2d(2, 3, 5, 2, 2, padding_mode="circular", **F64), (2, 6, 7, 2),
    ),
    "depthwise": (
        depthwise_conv(3, 2, padding=1), torch.nn.Conv2d(3, 6, 3, padding=1, groups=3, **F64), (2, 5, 4, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name, key, x64):
    layer, peer, shape = CONVOLUTIONS[name]
    assert_same_as_torch(layer, peer, shape, kernel_of, key)


TRANSPOSED = {
    "signal": (
        conv_transpose(4, (3,), strides=2, padding=1, output_padding=1),
        torch.nn.ConvTranspose1d(3, 4, 3, 2, 1, 1, **F64), (2, 5, 3),
    ),
    "image": (
        conv_transpose(6, (3, 4), strides=(2, 3), padding=((1, 1), (2, 2)), output_padding=(1, 2), groups=2,
                       dilation=(2, 1)),
        torch.nn.ConvTranspose2d(4, 6, (3, 4), (2, 3), (1, 2), (1, 2), 2, dilation=(2, 1), **F64),
        (2, 3, 4, 4),
    ),
    "small": (conv_transpose(2, 2, strides=3, padding="VALID"), torch.nn.ConvTranspose2d(3, 2, 2, 3, **F64),
              (1, 3, 2, 3)),
    "volume": (conv_transpose(2, (2, 3, 1), padding=0), torch.nn.ConvTranspose3d(3, 2, (2, 3, 1), **F64),
               (1, 2, 3, 2, 3)),
}  # fmt: skip


@pytest.mark.notes("S3-52")
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolution(name, key, x64):
    layer, peer, shape = TRANSPOSED[name]
    assert_same_as_torch(layer, peer, shape, kernel_of, key)

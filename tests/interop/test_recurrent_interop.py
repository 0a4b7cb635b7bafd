"""Recurrent layers against torch in float64: the same outputs and gradients from the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import bidirectional, gru, lstm, rnn, sequence_mask, serial

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.full

KINDS = {
    "RNN": (rnn, {}),
    "RNN-relu": (lambda features: rnn(features, "relu"), {"nonlinearity": "relu"}),
    "LSTM": (lstm, {}),
    "GRU": (gru, {}),
}


def read(peer, suffix, what):
    """Our parameters, or gradients, from torch's; of two biases in one place the gradients are the same."""

    def get(name):
        tensor = getattr(peer, f"{name}_{suffix}")
        return jnp.asarray((tensor if what == "values" else tensor.grad).detach().numpy())

    first, second, size = get("bias_ih"), get("bias_hh"), peer.hidden_size
    params = {"input": {"kernel": get("weight_ih").T}, "recurrent": {"kernel": get("weight_hh").T}}
    if isinstance(peer, torch.nn.GRU):  # the candidate's second bias stands behind the reset gate
        params["recurrent"]["bias"] = second[2 * size :]
        second = second.at[2 * size :].set(0)
    return params | {"input": params["input"] | {"bias": first + second if what == "values" else first}}


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def assert_equal(name, model, peer, of_torch, x, lengths=None):
    """Outputs, and gradients with respect to input and weights."""
    there = torch.tensor(x, requires_grad=True)
    if lengths is None:
        out, mask = peer(there)[0], None
    else:
        pack, unpack = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
        packed = pack(there, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        out = unpack(peer(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        mask = sequence_mask(jnp.asarray(lengths), x.shape[1])
    (out.sin() * torch.arange(1, 1 + out.numel(), dtype=torch.float64).reshape(out.shape)).sum().backward()

    @jax.jit
    def gradients(params, x):
        def loss(params, x):
            y = model.apply(params, (), x, mask=mask)[0]
            return jnp.sum(jnp.sin(y) * jnp.arange(1.0, 1 + y.size).reshape(y.shape)), y

        return jax.grad(loss, (0, 1), has_aux=True)(params, x)

    (by_params, by_x), y = gradients(of_torch("values"), jnp.asarray(x))
    assert_close(y, out.detach().numpy())
    assert_close(by_x, there.grad.numpy())
    jax.tree.map(assert_close, by_params, of_torch("gradients"))


@pytest.mark.parametrize("name", KINDS)
def test_one_layer(name, x64):
    """A batch of one, and odd sizes."""
    make, arguments = KINDS[name]
    torch.manual_seed(0)
    peer = getattr(torch.nn, name.split("-")[0])(3, 5, batch_first=True, dtype=torch.float64, **arguments)
    x = np.random.default_rng(0).normal(size=(1, 7, 3))
    assert_equal(name, make(5), peer, lambda what: read(peer, "l0", what), x)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_two_layers_both_ways_over_sequences_of_several_lengths(name, x64):
    make, arguments = KINDS[name]
    torch.manual_seed(0)
    kind = getattr(torch.nn, name)
    peer = kind(3, 2, 2, batch_first=True, bidirectional=True, dtype=torch.float64, **arguments)

    def of_torch(what):
        return {
            f"layers_{i}": {
                "forward": read(peer, f"l{i}", what),
                "backward": read(peer, f"l{i}_reverse", what),
            }
            for i in range(2)
        }

    model = serial(bidirectional(make(2)), bidirectional(make(2)))
    x = np.random.default_rng(0).normal(size=(3, 4, 3))
    assert_equal(name, model, peer, of_torch, x, lengths=[4, 1, 3])

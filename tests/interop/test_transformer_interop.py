"""Attention and Transformer blocks against torch in float64: outputs and gradients from the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import multi_head_attention, sequence_mask, transformer_block

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.full

F64 = {"dtype": torch.float64, "batch_first": True}


def numbers(tensor, what):
    return jnp.asarray((tensor if what == "values" else tensor.grad).detach().numpy())


def read_dense(peer, what):
    return {"kernel": numbers(peer.weight, what).T, "bias": numbers(peer.bias, what)}


def read_norm(peer, what):
    return {"scale": numbers(peer.weight, what), "bias": numbers(peer.bias, what)}


def read_attention(peer, what):
    kernels = jnp.split(numbers(peer.in_proj_weight, what), 3)
    biases = jnp.split(numbers(peer.in_proj_bias, what), 3)
    names = ("query", "key", "value")
    projections = {n: {"kernel": k.T, "bias": b} for n, k, b in zip(names, kernels, biases, strict=True)}
    return projections | {"out": read_dense(peer.out_proj, what)}


def read_block(peer, norm, cross, what):
    """The parameters of a torch layer in the places where ours has them."""
    perceptron = {"layers_0": read_dense(peer.linear1, what), "layers_2": read_dense(peer.linear2, what)}
    branches = [{"layers_0": read_attention(peer.self_attn, what)}]
    branches += [{"layers_0": read_attention(peer.multihead_attn, what)}] if cross else []
    norms = [read_norm(getattr(peer, f"norm{i + 1}"), what) for i in range(2 + cross)]
    params = {}
    for i, (branch, of_norm) in enumerate(zip([*branches, perceptron], norms, strict=True)):
        if norm == "post":
            params |= {f"layers_{2 * i}": {"layer": branch}, f"layers_{2 * i + 1}": of_norm}
        else:
            moved = {f"layers_{int(name[-1]) + 1}": leaf for name, leaf in branch.items()}
            params[f"layers_{i}"] = {"layer": {"layers_0": of_norm} | moved}
    return params


def shuffled(peer):
    """All parameters drawn anew: torch begins with biases of 0 and scales of 1."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.normal_(0, 0.5)
    return peer


def assert_equal(model, out, of_torch, inputs, there, mask=None, **extra):
    """`there` are torch's inputs; gradients are of a sum that weighs every output by itself."""
    weights = np.cos(np.arange(out.numel())).reshape(out.shape)
    if mask is not None:  # what stands where nothing is may differ
        weights = weights * np.asarray(mask)[:, :, None]
    (out * torch.tensor(weights)).sum().backward()

    @jax.jit
    def gradients(params, inputs):
        def loss(params, inputs):
            y = model.apply(params, (), inputs[0], mask=mask, **dict(zip(extra, inputs[1:], strict=True)))[0]
            return jnp.sum(y * weights), y

        return jax.grad(loss, (0, 1), has_aux=True)(params, inputs)

    (by_params, by_inputs), y = gradients(of_torch("values"), [jnp.asarray(x) for x in inputs])
    known = np.ones(y.shape, bool) if mask is None else np.broadcast_to(mask[:, :, None], y.shape)
    np.testing.assert_allclose(y[known], out.detach().numpy()[known], rtol=1e-9, atol=1e-9)
    for ours, theirs in zip(by_inputs, there, strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-9, atol=1e-9)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), by_params, of_torch("gradients")
    )


def batch(*shapes):
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=shape) for shape in shapes]
    return inputs, [torch.tensor(x, requires_grad=True) for x in inputs]


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention(causal, x64):
    """A batch with padding, and odd lengths."""
    peer = shuffled(torch.nn.MultiheadAttention(6, 3, **F64))
    inputs, there = batch((2, 5, 6))
    mask = sequence_mask(jnp.array([5, 3]), 5)
    looks = {"attn_mask": torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)} if causal else {}
    out = peer(*there * 3, key_padding_mask=torch.tensor(~np.asarray(mask)), need_weights=False, **looks)[0]
    model = multi_head_attention(6, 3, causal=causal)
    assert_equal(model, out, lambda what: read_attention(peer, what), inputs, there, mask=mask)


@pytest.mark.notes("S4-74")
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_encoder_layer(norm, x64):
    peer = shuffled(torch.nn.TransformerEncoderLayer(4, 2, 7, 0.0, norm_first=norm == "pre", **F64))
    inputs, there = batch((2, 3, 4))
    mask = sequence_mask(jnp.array([2, 3]), 3)
    out = peer(*there, src_key_padding_mask=torch.tensor(~np.asarray(mask)))
    model = transformer_block(4, 2, 7, norm=norm, activation="relu")
    assert_equal(model, out, lambda what: read_block(peer, norm, False, what), inputs, there, mask=mask)


@pytest.mark.parametrize("norm", ["pre", pytest.param("post", marks=pytest.mark.full)])
def test_decoder_layer(norm, x64):
    """Causal, and attending to a memory of another length."""
    peer = shuffled(torch.nn.TransformerDecoderLayer(4, 2, 7, 0.0, norm_first=norm == "pre", **F64))
    inputs, there = batch((1, 3, 4), (1, 5, 4))
    out = peer(*there, tgt_mask=torch.triu(torch.ones(3, 3, dtype=torch.bool), 1))
    model = transformer_block(4, 2, 7, norm=norm, activation="relu", causal=True, cross=True)
    of_torch = lambda what: read_block(peer, norm, True, what)  # noqa: E731
    assert_equal(model, out, of_torch, inputs, there, memory=None)

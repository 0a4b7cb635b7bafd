"""State dicts of torch, imported and exported: the same outputs from the same weights, both ways."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.interop import from_torch, to_torch, torch_transformer_names
from jaxopt_notes.layers import (
    batch_norm,
    bidirectional,
    conv,
    conv_transpose,
    dense,
    depthwise_conv,
    embedding,
    flatten,
    global_average_pool,
    glu,
    group_norm,
    gru,
    instance_norm,
    layer_norm,
    lstm,
    max_pool,
    maxout,
    multi_head_attention,
    parallel,
    prelu,
    remat,
    repeat,
    residual,
    rms_norm,
    rnn,
    serial,
    shared,
    transformer_block,
    unembedding,
    weight_norm,
)

torch = pytest.importorskip("torch")
nn = torch.nn


class Around(nn.Module):
    """A residual branch and a shortcut, under our names."""

    def __init__(self, layer, shortcut=None):
        super().__init__()
        self.layer = layer
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x):
        return self.shortcut(x) + self.layer(x)


class First(nn.Module):
    """A recurrent module's outputs without its last state, under the same names."""

    def __init__(self, kind, *sizes, **options):
        super().__init__()
        self.rnn = kind(*sizes, batch_first=True, **options)

    def forward(self, x):
        return self.rnn(x)[0]


class Attention(nn.MultiheadAttention):
    def forward(self, x, memory=None):
        memory = x if memory is None else memory
        return super().forward(x, memory, memory, need_weights=False)[0]


ENCODER = transformer_block(4, 2, 6, activation="relu")
DECODER = transformer_block(4, 2, 6, activation="relu", norm="post", cross=True, dropout=0.1)
NORMED = nn.utils.parametrizations.weight_norm
RNN = {"": "rnn"}
STACK = {"layers_0": "rnn", "layers_1": "rnn"}

# Our model, torch's, the shape of the input and, where needed, names and the shape of a memory.
CASES = {
    "dense": (dense(4), nn.Linear(3, 4), (2, 3)),
    "dense without bias": (dense(4, use_bias=False), nn.Linear(3, 4, bias=False), (2, 3)),
    "gated": (glu(4), nn.Sequential(nn.Linear(3, 8), nn.GLU()), (2, 3), {"": "0"}),
    "signal": (
        conv(6, (3,), strides=2, dilation=2, padding=2, groups=2),
        nn.Conv1d(4, 6, 3, 2, 2, 2, 2), (2, 9, 4),
    ),
    "image": (
        conv(4, (3, 2), strides=(1, 2), padding="VALID"), nn.Conv2d(3, 4, (3, 2), (1, 2)), (1, 5, 6, 3),
    ),
    "volume": (conv(4, (1, 2, 3), padding="VALID"), nn.Conv3d(2, 4, (1, 2, 3)), (1, 2, 3, 4, 2)),
    "depthwise": (depthwise_conv(3, 2, padding=1), nn.Conv2d(3, 6, 3, padding=1, groups=3), (1, 4, 4, 3)),
    "transposed signal": (conv_transpose(4, (3,), padding="VALID"), nn.ConvTranspose1d(3, 4, 3), (1, 4, 3)),
    "transposed image": (
        conv_transpose(6, (3, 2), strides=2, padding=1, groups=2, output_padding=1),
        nn.ConvTranspose2d(4, 6, (3, 2), 2, 1, 1, 2), (1, 3, 4, 4),
    ),
    "transposed volume": (
        conv_transpose(3, (2, 1, 3), padding="VALID"), nn.ConvTranspose3d(2, 3, (2, 1, 3)), (1, 2, 2, 3, 2),
    ),
    "batch norm": (batch_norm(), nn.BatchNorm2d(3), (2, 3, 4, 3)),
    "batch norm, bare": (
        batch_norm(use_scale=False, use_bias=False), nn.BatchNorm1d(3, affine=False), (4, 3),
    ),
    "layer norm": (layer_norm(), nn.LayerNorm(5), (2, 5)),
    "layer norm of images": (layer_norm(axis=(-3, -2, -1)), nn.LayerNorm((2, 3, 4)), (2, 3, 4, 2)),
    "group norm": (group_norm(2), nn.GroupNorm(2, 4), (2, 3, 3, 4)),
    "instance norm": (instance_norm(), nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 3)),
    "rms norm": (rms_norm(1e-6), nn.RMSNorm(5, eps=1e-6), (2, 5)),
    "weight norm": (weight_norm(dense(4)), NORMED(nn.Linear(3, 4)), (2, 3)),
    "weight norm of kernels": (
        weight_norm(conv(4, padding=1)), NORMED(nn.Conv2d(2, 4, 3, padding=1)), (1, 4, 4, 2),
    ),
    "prelu": (prelu(), nn.PReLU(3), (2, 3)),
    "embedding": (embedding(7, 3), nn.Embedding(7, 3), (2, 4)),
    "unembedding": (unembedding(7), nn.Linear(3, 7, bias=False), (2, 3)),
    "rnn": (rnn(4, "relu"), First(nn.RNN, 3, 4, nonlinearity="relu"), (2, 5, 3), RNN),
    "lstm": (lstm(4), First(nn.LSTM, 3, 4), (2, 5, 3), RNN),
    "gru": (gru(4), First(nn.GRU, 3, 4), (2, 5, 3), RNN),
    "two lstms": (serial(lstm(4), lstm(4)), First(nn.LSTM, 3, 4, 2), (2, 5, 3), STACK),
    "two grus both ways": (
        serial(bidirectional(gru(3)), bidirectional(gru(3))),
        First(nn.GRU, 2, 3, 2, bidirectional=True), (2, 4, 2), STACK,
    ),
    "attention": (multi_head_attention(6, 2), Attention(6, 2, batch_first=True), (2, 4, 6)),
    "attention without biases": (
        multi_head_attention(6, 2, use_bias=False), Attention(6, 2, bias=False, batch_first=True), (2, 4, 6),
    ),
    "attention to others": (
        multi_head_attention(6, 2, cross=True),
        Attention(6, 2, kdim=5, vdim=5, batch_first=True), (2, 4, 6), None, (2, 3, 5),
    ),
    "nested": (
        serial(
            conv(4, padding=1), batch_norm(), jax.nn.relu,
            residual(serial(conv(6, padding=1), remat(batch_norm())), conv(6, 1)),
            max_pool(2), serial(flatten(), jax.nn.relu, dense(5)), shared(dense(2), "head"),
        ),
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
            Around(nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6)), nn.Conv2d(4, 6, 1)),
            nn.MaxPool2d(2), nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(36, 5)), nn.Linear(5, 2),
        ),
        (2, 4, 6, 3), {"head": "6"},
    ),
    "pooled": (
        serial(conv(4, padding=1), global_average_pool(), dense(2)),
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            nn.Linear(4, 2),
        ),
        (1, 4, 4, 3),
    ),
    "repeated": (
        repeat(residual(serial(dense(3), jnp.tanh)), 2),
        nn.Sequential(*[Around(nn.Sequential(nn.Linear(3, 3), nn.Tanh())) for _ in range(2)]), (2, 3),
    ),
    "encoder": (
        repeat(ENCODER, 2),
        nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, norm_first=True), 2,
            enable_nested_tensor=False,
        ),
        (2, 3, 4),
        torch_transformer_names(ENCODER, "layer/0", "layers.0")
        | torch_transformer_names(ENCODER, "layer/1", "layers.1"),
    ),
    "decoder": (
        DECODER, nn.TransformerDecoderLayer(4, 2, 6, batch_first=True), (2, 3, 4),
        torch_transformer_names(DECODER), (2, 5, 4),
    ),
}  # fmt: skip


FULL = {
    "dense", "dense without bias", "gated", "image", "volume", "depthwise", "transposed signal",
    "transposed volume", "batch norm", "batch norm, bare", "layer norm", "instance norm",
    "weight norm of kernels", "unembedding", "rnn", "two lstms", "gru", "attention to others",
    "attention without biases", "pooled", "encoder", "decoder",
}  # fmt: skip
NAMES = [pytest.param(name, marks=pytest.mark.full) if name in FULL else name for name in CASES]


def parts(name):
    model, peer, shape, names, memory = (*CASES[name], None, None)[:5]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 7, shape).astype(np.int32) if name == "embedding" else rng.normal(size=shape)
    x = x if name == "embedding" else x.astype(np.float32)
    extra = {} if memory is None else {"memory": rng.normal(size=memory).astype(np.float32)}
    return model, peer, x, names, extra


def in_torch(peer, x, extra):
    """Outputs of images with their channels last, as ours."""
    image = x.ndim > 3 or (
        x.ndim == 3 and any(isinstance(m, nn.Conv1d | nn.ConvTranspose1d) for m in peer.modules())
    )
    there = torch.from_numpy(np.moveaxis(x, -1, 1).copy() if image else x)
    with torch.no_grad():
        y = peer(there, *map(torch.from_numpy, extra.values())).numpy()
    return np.moveaxis(y, 1, -1) if image and y.ndim == x.ndim else y


@functools.cache
def compared(full):
    """Of each case torch's outputs and ours in both modes, from weights that were drawn in torch."""
    models, arguments, theirs, states, dicts = {}, {}, {}, {}, {}
    torch.manual_seed(0)
    for name in CASES.keys() & FULL if full else CASES.keys() - FULL:
        model, peer, x, names, extra = parts(name)
        with torch.no_grad():
            for parameter in peer.parameters():
                parameter.normal_(0, 0.5)
            for label, buffer in peer.named_buffers():
                if label.endswith(("mean", "var")):
                    buffer.uniform_(0.5, 2)
        dicts[name] = {label: tensor.clone() for label, tensor in peer.state_dict().items()}
        models[name] = model
        arguments[name] = *from_torch(model, peer.state_dict(), x, names=names, **extra), x, extra
        theirs[name] = [in_torch(peer.eval(), x, extra)]
        if "norm" in name or name == "nested":
            theirs[name].append(in_torch(peer.train(), x, extra))
            states[name] = {label: tensor.numpy().copy() for label, tensor in peer.state_dict().items()}

    @jax.jit
    def run(arguments):
        def both(name, params, state, x, extra):
            y, _ = models[name].apply(params, state, x, **extra)
            if name not in states:
                return [y], state
            z, after = models[name].apply(params, state, x, train=True)
            return [y, z], after

        return {name: both(name, *own) for name, own in arguments.items()}

    return arguments, run(arguments), theirs, states, dicts


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_torch_give_the_same_outputs(name):
    _, ours, theirs, _, _ = compared(name in FULL)
    for y, expected in zip(ours[name][0], theirs[name], strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_our_weights_give_the_same_outputs_in_torch(name):
    """Torch itself checks names and shapes; after training steps running statistics go too."""
    arguments, ours, theirs, states, dicts = compared(name in FULL)
    model, peer, x, names, extra = parts(name)
    params, state, *_ = arguments[name]
    entries = to_torch(model, params, state, x, names=names, **extra)
    assert entries.keys() == dicts[name].keys()
    peer.load_state_dict({label: torch.from_numpy(array) for label, array in entries.items()})
    np.testing.assert_allclose(in_torch(peer.eval(), x, extra), theirs[name][0], rtol=1e-5, atol=1e-5)
    for label, array in entries.items():
        if "bias_" not in label and "tracked" not in label:  # two biases of recurrent layers are one here
            np.testing.assert_array_equal(array, dicts[name][label])
    moved = to_torch(model, params, ours[name][1], x, names=names, **extra)
    for label, array in states.get(name, {}).items():
        if "running" in label:
            np.testing.assert_allclose(moved[label], array, rtol=1e-5, atol=1e-5)


FLATTENED = {  # our model, the shapes of x, what its last dense layer's features are made of, torch's name
    "by a function": (
        serial(conv(3), lambda x: x.reshape(len(x), -1), dense(2)), (1, 2, 4, 2), (2, 4, 3), "2.weight",
    ),
    "in a model in the model": (
        serial(serial(conv(3), flatten()), jnp.tanh, dense(2)), (1, 2, 4, 2), (2, 4, 3), "2.weight",
    ),
    "in each block": (
        serial(repeat(serial(flatten(), dense(6), lambda x: x.reshape(-1, 1, 2, 3)), 2)),
        (1, 1, 2, 3), (1, 2, 3), "0.1.1.weight",
    ),
    "of a signal": (serial(conv(3, (3,)), flatten(), dense(2)), (1, 4, 2), (4, 3), "2.weight"),
    "of a sequence": (serial(lstm(3), flatten(), dense(2)), (1, 4, 2), (12,), "2.weight"),
    "of the second input": (
        parallel(dense(2), serial(flatten(), dense(2))), ((1, 3), (1, 2, 4, 3)), (2, 4, 3), "1.1.weight",
    ),
    "before another layer": (serial(flatten(), dense(3), dense(2)), (1, 2, 2, 1), (3,), "2.weight"),
}  # fmt: skip


@pytest.mark.parametrize("name", FLATTENED)
def test_an_image_is_flattened_with_its_channels_first_in_torch(name):
    model, shapes, image, entry = FLATTENED[name]
    x = jax.tree.map(lambda shape: np.zeros(shape, np.float32), shapes, is_leaf=lambda s: type(s[0]) is int)
    rng = np.random.default_rng(0)
    params, state = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape), jax.eval_shape(model.init, jax.random.key(0), x)
    )
    kernel = [leaf for leaf in jax.tree.leaves(params) if leaf.shape[-2:] in {(np.prod(image), 2), (6, 6)}][
        -1
    ]
    kernel = kernel[1] if kernel.ndim == 3 else kernel
    entries = to_torch(model, params, state, x)
    features = rng.normal(size=image)
    there = np.moveaxis(features, -1, 0)
    np.testing.assert_allclose(entries[entry] @ there.ravel(), features.ravel() @ kernel)
    back, _ = from_torch(model, entries, x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), back, params)


def test_what_does_not_fit_is_one_error_that_names_it():
    model = serial(dense(4), jnp.tanh, dense(2))
    x = jax.ShapeDtypeStruct((1, 3), "float32")
    sound = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}
    entries = {name: np.ones(shape, np.float32) for name, shape in sound.items()}
    damaged = {name: array for name, array in entries.items() if name != "0.bias"} | {
        "2.weight": np.ones((4, 2), np.float32), "2.bias": np.ones(2, np.int64), "head.bias": np.ones(2),
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"^from_torch\(state_dict\) does not fit the model") as caught:
        from_torch(model, damaged, x)
    for words in (
        "missing 0.bias (of layers_0 (Dense));",
        "2.weight has shape (4, 2), expected (2, 4) (of layers_2 (Dense));",
        "2.bias is int64, expected a floating-point dtype",
        "left over head.bias.",
    ):
        assert words in str(caught.value)
    with pytest.raises(
        ValueError, match=r"holds 1e\+300 for kernel of layers_0 \(Dense\), which float32 does"
    ):
        from_torch(model, entries | {"0.weight": np.full((4, 3), 1e300)}, x)
    with pytest.raises(ValueError, match=r"names gives 'same\.weight' to two layers"):
        to_torch(model, *from_torch(model, entries, x), x, names=lambda path: "same" if path else None)


def test_what_has_no_counterpart_is_said():
    with pytest.raises(TypeError, match=r"layers_0 \(Maxout\) has no counterpart in torch"):
        from_torch(serial(maxout(3)), {}, jnp.ones((1, 2)))
    with pytest.raises(TypeError, match="shares keys among queries"):
        from_torch(multi_head_attention(4, 2, kv_heads=1), {}, jnp.ones((1, 3, 4)))


def test_half_precision_comes_and_goes_exactly():
    """NumPy has no bfloat16 of torch's, nor torch ours."""
    tensor = torch.tensor([[1.0, 2.5]]).bfloat16().requires_grad_()
    params, _ = from_torch(dense(1, use_bias=False), {"weight": tensor}, jnp.ones((1, 2)))
    assert params["kernel"].dtype == jnp.float32
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    weight = to_torch(dense(1, use_bias=False), half, (), jnp.ones((1, 2)))["weight"]
    assert torch.equal(torch.from_numpy(weight), tensor.detach().float())


def test_names_of_a_transformer_are_those_of_torch():
    """A decoder's with dropout, after which the numbers of our layers are others."""
    block = transformer_block(4, 2, 6, cross=True, dropout=0.1)
    x, memory = jnp.ones((1, 3, 4)), jnp.ones((1, 2, 4))
    shapes = jax.eval_shape(block.init, jax.random.key(0), x, memory=memory)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes)
    entries = to_torch(block, *zeros, x, names=torch_transformer_names(block), memory=memory)
    peer = nn.TransformerDecoderLayer(4, 2, 6, norm_first=True)
    theirs = {name: tuple(tensor.shape) for name, tensor in peer.state_dict().items()}
    assert {name: array.shape for name, array in entries.items()} == theirs

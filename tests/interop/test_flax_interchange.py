"""Variables of Flax, linen and NNX, imported and exported: the same outputs from the same weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.interop import from_flax, from_nnx, to_flax, to_nnx
from jaxopt_notes.layers import (
    batch_norm,
    bidirectional,
    conv,
    conv_transpose,
    dense,
    embedding,
    flatten,
    glu,
    group_norm,
    gru,
    instance_norm,
    layer_norm,
    lstm,
    mlp,
    multi_head_attention,
    prelu,
    repeat,
    residual,
    rms_norm,
    rnn,
    serial,
)

nn = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")
pytestmark = pytest.mark.usefixtures("relaxed")


def flat(x):
    return x.reshape(len(x), -1)


class Around(nn.Module):
    """A residual branch of linen under our name."""

    layer: nn.Module

    def __call__(self, x):
        return x + self.layer(x)


class Named(nn.Module):
    """Modules under the names that linen gives."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(4)(x))  # in one expression the outer Dense would be made first, as Dense_0
        return nn.Dense(2)(x)


def norm(**options):
    return nn.BatchNorm(use_running_average=True, momentum=0.9, epsilon=1e-5, **options)


# Our model, linen's, the shape of the input and, where needed, names. Those of the last set are not quick.
LINEN = {
    "dense": (dense(4), nn.Dense(4), (2, 3)),
    "convolution": (
        conv(4, (3, 2), strides=2, groups=2), nn.Conv(4, (3, 2), 2, feature_group_count=2), (1, 5, 4, 4),
    ),
    "transposed convolution": (
        conv_transpose(4, (3, 2), strides=2), nn.ConvTranspose(4, (3, 2), (2, 2)), (1, 3, 3, 2),
    ),
    "batch norm": (batch_norm(unbiased=False), norm(), (4, 3)),
    "layer norm": (layer_norm(), nn.LayerNorm(1e-5), (2, 4)),
    "layer norm of images": (
        layer_norm(axis=(-2, -1)),
        nn.LayerNorm(1e-5, reduction_axes=(-2, -1), feature_axes=(-2, -1)), (2, 3, 4),
    ),
    "group norm": (group_norm(2), nn.GroupNorm(2, epsilon=1e-5), (2, 3, 4)),
    "instance norm": (instance_norm(), nn.InstanceNorm(epsilon=1e-5), (2, 3, 3)),
    "rms norm": (rms_norm(), nn.RMSNorm(), (2, 4)),
    "prelu": (prelu(shared=True), nn.PReLU(), (2, 3)),
    "embedding": (embedding(7, 3), nn.Embed(7, 3), (2, 4)),
    "gated": (glu(3), nn.Sequential([nn.Dense(6), nn.glu]), (2, 3), {"": "layers_0"}),
    "attention": (multi_head_attention(6, 2), nn.MultiHeadDotProductAttention(2), (2, 3, 6)),
    "lstm": (lstm(4), nn.RNN(nn.OptimizedLSTMCell(4)), (2, 3, 2)),
    "plain lstm": (lstm(4), nn.RNN(nn.LSTMCell(4)), (2, 3, 2)),
    "gru": (gru(4), nn.RNN(nn.GRUCell(4)), (2, 3, 2)),
    "rnn": (rnn(4), nn.RNN(nn.SimpleCell(4)), (2, 3, 2)),
    "both ways": (
        bidirectional(gru(3)), nn.Bidirectional(nn.RNN(nn.GRUCell(3)), nn.RNN(nn.GRUCell(3))), (2, 3, 2),
    ),
    "mlp": (
        mlp([4, 3], batch_norm=True),
        nn.Sequential([nn.Dense(4, use_bias=False), norm(), nn.relu, nn.Dense(3)]), (2, 3),
    ),
    "named": (mlp([4, 2]), Named(), (2, 3), {"layers_0": "Dense_0", "layers_2": "Dense_1"}),
    "nested": (
        serial(conv(4), jnp.tanh, flatten(), repeat(residual(serial(jnp.tanh, dense(24))), 2)),
        nn.Sequential([
            nn.Conv(4, (3, 3)), jnp.tanh, flat,
            nn.Sequential([Around(nn.Sequential([jnp.tanh, nn.Dense(24)])) for _ in range(2)]),
        ]),
        (1, 2, 3, 2),
    ),
}  # fmt: skip
NNX = {
    "dense": (dense(4), lambda r: nnx.Linear(3, 4, rngs=r), (2, 3)),
    "convolution": (conv(4, (3, 2)), lambda r: nnx.Conv(2, 4, (3, 2), rngs=r), (1, 5, 4, 2)),
    "transposed convolution": (
        conv_transpose(4, (3, 2), padding="VALID"),
        lambda r: nnx.ConvTranspose(2, 4, (3, 2), padding="VALID", rngs=r), (1, 3, 3, 2),
    ),
    "batch norm": (
        batch_norm(unbiased=False),
        lambda r: nnx.BatchNorm(3, epsilon=1e-5, use_running_average=True, rngs=r),
        (4, 3),
    ),
    "layer norm": (layer_norm(), lambda r: nnx.LayerNorm(4, epsilon=1e-5, rngs=r), (2, 4)),
    "embedding": (embedding(7, 3), lambda r: nnx.Embed(7, 3, rngs=r), (2, 4)),
    "attention": (
        multi_head_attention(6, 2), lambda r: nnx.MultiHeadAttention(2, 6, decode=False, rngs=r), (2, 3, 6),
    ),
    "lstm": (lstm(4), lambda r: nnx.RNN(nnx.OptimizedLSTMCell(2, 4, rngs=r), rngs=r), (2, 3, 2)),
    "gru": (gru(4), lambda r: nnx.RNN(nnx.GRUCell(2, 4, rngs=r), rngs=r), (2, 3, 2)),
    "rnn": (rnn(4), lambda r: nnx.RNN(nnx.SimpleCell(2, 4, rngs=r), rngs=r), (2, 3, 2)),
    "both ways": (
        bidirectional(lstm(3)),
        lambda r: nnx.Bidirectional(
            nnx.RNN(nnx.OptimizedLSTMCell(2, 3, rngs=r), rngs=r),
            nnx.RNN(nnx.OptimizedLSTMCell(2, 3, rngs=r), rngs=r), rngs=r,
        ), (2, 3, 2),
    ),
    "mlp": (
        mlp([4, 3], dropout=0.5),
        lambda r: nnx.Sequential(
            nnx.Linear(3, 4, rngs=r), nnx.relu, nnx.Dropout(0.5, deterministic=True, rngs=r),
            nnx.Linear(4, 3, rngs=r),
        ), (2, 3),
    ),
    "named": (dense(2), lambda r: nnx.Sequential(nnx.Linear(3, 2, rngs=r)), (2, 3), {"": "layers/0"}),
}  # fmt: skip
QUICK = {
    "linen": {"transposed convolution", "prelu", "attention", "lstm", "both ways", "mlp", "named", "nested"},
    "nnx": {"transposed convolution", "batch norm", "both ways", "gru", "mlp", "named"},
}
ALL = [
    pytest.param(kind, name, marks=() if name in QUICK[kind] else pytest.mark.full)
    for kind, cases in {"linen": LINEN, "nnx": NNX}.items()
    for name in cases
]


def parts(kind, name):
    model, peer, shape, names = (*{"linen": LINEN, "nnx": NNX}[kind][name], None)[:4]
    rng = np.random.default_rng(0)
    integers = name == "embedding"
    x = rng.integers(0, 7, shape).astype(np.int32) if integers else rng.normal(size=shape).astype(np.float32)
    return model, peer, x, names


def drawn(tree):
    """Numbers in place of first values: positive, as variances are."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(np.float32), tree)


@functools.cache
def compared(quick):
    """Of each case what Flax has, what we made of it, and the outputs of both."""
    theirs, ours, peers, models = {}, {}, {}, {}
    for kind, name in (case.values for case in ALL):
        if (name in QUICK[kind]) != quick:
            continue
        model, peer, x, names = parts(kind, name)
        if kind == "linen":
            variables = drawn(jax.eval_shape(peer.init, jax.random.key(0), x))
            params, state = from_flax(model, variables, x, names=names)
            peers[kind, name] = peer.apply
        else:
            learned = nnx.state(
                nnx.eval_shape(lambda make=peer: make(nnx.Rngs(0))), (nnx.Param, nnx.BatchStat)
            )
            variables = drawn(nnx.to_pure_dict(learned))
            params, state = from_nnx(model, variables, x, names=names)

            def run(variables, x, make=peer):
                module = make(nnx.Rngs(0))
                nnx.update(module, variables)
                return module(x)

            peers[kind, name] = run
        theirs[kind, name], ours[kind, name] = (variables, x), (params, state, x)
        models[kind, name] = model

    @jax.jit
    def outputs(theirs, ours):
        return {case: (peers[case](*theirs[case]), models[case].apply(*ours[case])[0]) for case in models}

    return theirs, ours, outputs(theirs, ours)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_weights_of_flax_give_the_same_outputs(kind, name):
    expected, y = compared(name in QUICK[kind])[2][kind, name]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_our_weights_are_those_of_flax_again(kind, name):
    theirs, ours, _ = compared(name in QUICK[kind])
    model, _, _, names = parts(kind, name)
    params, state, _ = ours[kind, name]
    back = (to_flax if kind == "linen" else to_nnx)(model, params, state, names=names)
    jax.tree.map(np.testing.assert_array_equal, back, theirs[kind, name][0])


def test_modules_and_states_of_nnx_as_they_are():
    """Random states are passed over, and what comes back goes into the module."""
    model, make, x, _ = parts("nnx", "mlp")
    peer = make(nnx.Rngs(0))
    found = [
        from_nnx(model, given, x)[0] for given in (peer, nnx.state(peer), nnx.to_pure_dict(nnx.state(peer)))
    ]
    for params in found:
        np.testing.assert_array_equal(params["layers_0"]["kernel"], peer.layers[0].kernel[...])
    doubled = jax.tree.map(lambda leaf: 2 * np.asarray(leaf), found[0])
    nnx.update(peer, to_nnx(model, doubled))
    np.testing.assert_array_equal(peer.layers[3].kernel[...], doubled["layers_3"]["kernel"])


def test_what_flax_cannot_have_is_an_error():
    x = jnp.ones((1, 3, 4))
    shapes, _ = jax.eval_shape(gru(2).init, jax.random.key(0), x)
    with pytest.raises(ValueError, match=r"the model \(Gru\) has a bias behind its reset gate"):
        to_nnx(gru(2), drawn(shapes))
    for model, message in (
        (prelu(), "a slope for each channel"),
        (multi_head_attention(4, 2, kv_heads=1), "shares keys among queries"),
    ):
        with pytest.raises(TypeError, match=message):
            from_flax(model, {}, x)
    with pytest.raises(TypeError, match=r"has groups, which Flax's ConvTranspose"):
        from_flax(conv_transpose(4, groups=2), {}, jnp.ones((1, 3, 3, 4)))
    with pytest.raises(ValueError, match=r"missing params/layers_0/bias .*; left over params/bias"):
        from_flax(serial(dense(2)), {"params": {"layers_0": {"kernel": np.ones((4, 2))}, "bias": 1.0}}, x)

"""Layers of Flax linen; those of NNX have the same defaults but for recurrent ones (`nnx_layers`)."""

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

NAME, VERSION = "Flax linen", flax.__version__
KEY = jax.random.key(0)


def _run(layer, x, **params):
    variables = layer.init(KEY, jnp.asarray(x))
    first = variables.get("params", {})
    return np.asarray(layer.apply({**variables, "params": {**first, **params}}, jnp.asarray(x))), first


def conv_same(x, kernel, stride):
    return _run(nn.Conv(1, (len(kernel),), stride, use_bias=False), x, kernel=kernel)[0]


def conv_transpose(x, kernel, stride):
    layer = nn.ConvTranspose(1, (len(kernel),), (stride,), padding="VALID", use_bias=False)
    return _run(layer, x, kernel=kernel)[0]


def average_pool(x):
    return np.asarray(nn.avg_pool(jnp.asarray(x), (3,), (1,), "SAME"))


def batch_norm(x, train=True):
    layer = nn.BatchNorm(use_running_average=not train)
    variables = layer.init(KEY, jnp.asarray(x))
    y, after = layer.apply(variables, jnp.asarray(x), mutable=["batch_stats"])
    return np.asarray(y), np.asarray(after["batch_stats"]["mean"]), np.asarray(after["batch_stats"]["var"])


def layer_norm(x):
    return _run(nn.LayerNorm(), x)[0]


def rms_norm(x):
    return _run(nn.RMSNorm(), x)[0]


def group_norm(x):
    return _run(nn.GroupNorm(), x)[0]


def instance_norm(x):
    y, params = _run(nn.InstanceNorm(), x)
    return y, len(params)


def _drawn_biases(params):
    """Biases begin at 0, which tells nothing of where they stand."""
    rng = np.random.default_rng(0)

    def drawn(path, leaf):
        return jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype) if path[-1].key == "bias" else leaf

    return jax.tree.map_with_path(drawn, params)


def lstm(x, features):
    layer = nn.RNN(nn.OptimizedLSTMCell(features))
    cell = layer.init(KEY, jnp.asarray(x))["params"]["cell"]
    y = layer.apply({"params": {"cell": cell}}, jnp.asarray(x))
    kernels = [np.concatenate([cell[f"{s}{g}"]["kernel"] for g in "ifgo"], axis=1) for s in "ih"]
    return np.asarray(y), *kernels, [np.concatenate([cell[f"h{g}"]["bias"] for g in "ifgo"])]


def gru(x, features):
    layer = nn.RNN(nn.GRUCell(features))
    cell = _drawn_biases(layer.init(KEY, jnp.asarray(x))["params"]["cell"])
    y = layer.apply({"params": {"cell": cell}}, jnp.asarray(x))
    kernels = [np.concatenate([cell[f"{s}{g}"]["kernel"] for g in "rzn"], axis=1) for s in "ih"]
    biases = [np.concatenate([cell[f"i{g}"]["bias"] for g in "rzn"]), np.asarray(cell["hn"]["bias"])]
    return np.asarray(y), *kernels, biases


SEPARATE_GATES = True


def gelu(x):
    return np.asarray(nn.gelu(jnp.asarray(x)))


def attention(q, k, v, seen):
    return np.asarray(nn.dot_product_attention(*map(jnp.asarray, (q, k, v)), mask=jnp.asarray(seen)))


def masked_attention(x, seen):
    layer = nn.MultiHeadDotProductAttention(1)
    mask = jnp.asarray(np.broadcast_to(seen[:, None, None], (len(x), 1, x.shape[1], x.shape[1])))
    variables = layer.init(KEY, jnp.asarray(x))
    return np.asarray(layer.apply(variables, jnp.asarray(x), mask=mask))


def dense_init(inputs, outputs):
    params = _run(nn.Dense(outputs), np.ones((1, inputs), np.float32))[1]
    return params["kernel"], params["bias"]


def conv_init(inputs, outputs):
    params = _run(nn.Conv(outputs, (3, 3)), np.ones((1, 3, 3, inputs), np.float32))[1]
    return params["kernel"], params["bias"]


def embedding_init(vocabulary, features):
    return nn.Embed(vocabulary, features).init(KEY, jnp.zeros((1, 1), jnp.int32))["params"]["embedding"]


def embedding_outside():
    layer = nn.Embed(3, 2)
    variables = layer.init(KEY, jnp.zeros((1, 1), jnp.int32))
    return np.asarray(layer.apply(variables, jnp.array([[7]]))), np.asarray(variables["params"]["embedding"])


def prelu_slopes(channels):
    return np.asarray(nn.PReLU().init(KEY, jnp.ones((1, channels)))["params"]["negative_slope"])


def flattened(x):
    return x.reshape(len(x), -1)  # linen has no such layer: users reshape

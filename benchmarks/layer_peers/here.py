"""Our layers."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_notes as jn
from jaxopt_notes.activations import gelu as _gelu
from jaxopt_notes.layers import attention as _attention
from jaxopt_notes.layers import gru as _gru
from jaxopt_notes.layers import lstm as _lstm
from jaxopt_notes.layers import prelu as _prelu

NAME, VERSION = "here", jn.__version__
KEY = jax.random.key(0)


def _run(layer, x, train=False, **params):
    first, state = layer.init(KEY, jnp.asarray(x))
    y, state = layer.apply({**first, **params}, state, jnp.asarray(x), key=KEY, train=train)
    return np.asarray(y), first, state


def conv_same(x, kernel, stride):
    return _run(jn.conv(1, (len(kernel),), strides=stride, use_bias=False), x, kernel=kernel)[0]


def conv_transpose(x, kernel, stride):
    layer = jn.conv_transpose(1, (len(kernel),), strides=stride, padding="VALID", use_bias=False)
    return _run(layer, x, kernel=kernel)[0]


def average_pool(x):
    return _run(jn.average_pool(3, 1, padding="SAME"), x[:, None])[0][:, 0]


def batch_norm(x, train=True):
    y, _, state = _run(jn.batch_norm(), x, train)
    return y, np.asarray(state["mean"]), np.asarray(state["var"])


def layer_norm(x):
    return _run(jn.layer_norm(), x)[0]


def rms_norm(x):
    return _run(jn.rms_norm(), x)[0]


def group_norm(x):
    return _run(jn.group_norm(), x)[0]


def instance_norm(x):
    y, params, _ = _run(jn.instance_norm(), x)
    return y, len(params)


def _recurrent(layer, x):
    y, params, _ = _run(layer, x)
    inner, outer = params["input"], params["recurrent"]
    second = [np.asarray(outer["bias"])] if "bias" in outer else []
    return y, np.asarray(inner["kernel"]), np.asarray(outer["kernel"]), [np.asarray(inner["bias"]), *second]


def lstm(x, features):
    return _recurrent(_lstm(features), x)


def gru(x, features):
    return _recurrent(_gru(features, bias_init=jn.initializers.normal(1.0)), x)


def gelu(x):
    return np.asarray(_gelu(jnp.asarray(x)))


def attention(q, k, v, seen):
    return np.asarray(_attention(*map(jnp.asarray, (q, k, v)), jnp.asarray(seen)))


def masked_attention(x, seen):
    layer = jn.multi_head_attention(x.shape[-1], 1)
    params, state = layer.init(KEY, jnp.asarray(x))
    return np.asarray(layer.apply(params, state, jnp.asarray(x), mask=jnp.asarray(seen))[0])


def dense_init(inputs, outputs):
    params = _run(jn.dense(outputs), np.ones((1, inputs), np.float32))[1]
    return params["kernel"], params["bias"]


def conv_init(inputs, outputs):
    params = _run(jn.conv(outputs, 3), np.ones((1, 3, 3, inputs), np.float32))[1]
    return params["kernel"], params["bias"]


def embedding_init(vocabulary, features):
    return jn.embedding(vocabulary, features).init(KEY, jnp.zeros((1, 1), jnp.int32))[0]["embedding"]


def embedding_outside():
    layer = jn.embedding(3, 2)
    params, state = layer.init(KEY, jnp.zeros((1, 1), jnp.int32))
    return np.asarray(layer.apply(params, state, jnp.array([[7]]))[0]), np.asarray(params["embedding"])


def prelu_slopes(channels):
    return np.asarray(_prelu().init(KEY, jnp.ones((1, channels)))[0]["negative_slope"])


def flattened(x):
    return _run(jn.flatten(), x)[0]

"""Keras' layers, on its backend of JAX."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import layers

NAME, VERSION = "Keras", keras.__version__
keras.utils.set_random_seed(0)


def _run(layer, x, *weights, **options):
    layer.build(x.shape)
    if weights:
        layer.set_weights(weights)
    return np.asarray(layer(x, **options))


def conv_same(x, kernel, stride):
    return _run(layers.Conv1D(1, len(kernel), stride, "same", use_bias=False), x, kernel)


def conv_transpose(x, kernel, stride):
    return _run(layers.Conv1DTranspose(1, len(kernel), stride, "valid", use_bias=False), x, kernel)


def average_pool(x):
    return _run(layers.AveragePooling1D(3, 1, "same"), x)


def batch_norm(x, train=True):
    layer = layers.BatchNormalization()
    y = _run(layer, x, training=train)
    return y, np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)


def layer_norm(x):
    return _run(layers.LayerNormalization(), x)


def rms_norm(x):
    return _run(layers.RMSNormalization(), x)


def group_norm(x):
    return _run(layers.GroupNormalization(), x)


def instance_norm(x):
    layer = layers.GroupNormalization(groups=-1)
    return _run(layer, x), len(layer.weights)


def _recurrent(layer, x):
    y = _run(layer, x)
    kernel, recurrent, bias = map(np.asarray, layer.get_weights())
    return y, kernel, recurrent, [bias] if bias.ndim == 1 else list(bias)


def lstm(x, features):
    return _recurrent(layers.LSTM(features, return_sequences=True), x)


def gru(x, features):
    return _recurrent(layers.GRU(features, return_sequences=True, bias_initializer="random_normal"), x)


def gelu(x):
    return np.asarray(keras.activations.gelu(x))


def attention(q, k, v, seen):
    """`MultiHeadAttention` of identity maps: the only form that takes heads."""
    heads, size = q.shape[2:]
    layer = layers.MultiHeadAttention(heads, size, use_bias=False)
    flat = [a.reshape(*a.shape[:2], -1) for a in (q, v, k)]
    layer.build(*(a.shape for a in flat))
    one = np.eye(heads * size, dtype=np.float32)
    layer.set_weights([one.reshape(-1, heads, size)] * 3 + [one.reshape(heads, size, -1)])
    return np.asarray(layer(*flat, attention_mask=seen[:, 0])).reshape(q.shape)


def masked_attention(x, seen):
    layer = layers.MultiHeadAttention(1, x.shape[-1])
    layer.build(x.shape, x.shape)
    return np.asarray(
        layer(x, x, attention_mask=np.broadcast_to(seen[:, None], (len(x), x.shape[1], x.shape[1])))
    )


def dense_init(inputs, outputs):
    layer = layers.Dense(outputs)
    layer.build((1, inputs))
    return tuple(map(np.asarray, layer.get_weights()))


def conv_init(inputs, outputs):
    layer = layers.Conv2D(outputs, 3)
    layer.build((1, 3, 3, inputs))
    return tuple(map(np.asarray, layer.get_weights()))


def embedding_init(vocabulary, features):
    layer = layers.Embedding(vocabulary, features)
    layer.build()
    return np.asarray(layer.get_weights()[0])


def embedding_outside():
    layer = layers.Embedding(3, 2)
    layer.build()
    return np.asarray(layer(np.array([[7]]))), np.asarray(layer.get_weights()[0])


def prelu_slopes(channels):
    layer = layers.PReLU()
    layer.build((1, channels))
    return np.asarray(layer.get_weights()[0])


def flattened(x):
    return _run(layers.Flatten(), x)

"""Recurrent layers of Flax NNX, which differ from linen's; all else is linen's."""

import flax
import jax.numpy as jnp
import numpy as np
from flax import nnx

NAME, VERSION = "Flax NNX", flax.__version__


def _recurrent(cell, x):
    rngs = nnx.Rngs(0)
    made = cell(rngs)
    y = np.asarray(nnx.RNN(made, rngs=rngs)(jnp.asarray(x)))
    inner, outer = made.dense_i, made.dense_h
    biases = [
        np.asarray(d.bias[...]) for d in (inner, outer) if d.bias is not None and d.bias[...] is not None
    ]
    return y, np.asarray(inner.kernel[...]), np.asarray(outer.kernel[...]), biases


def lstm(x, features):
    return _recurrent(lambda rngs: nnx.OptimizedLSTMCell(x.shape[-1], features, rngs=rngs), x)


def gru(x, features):
    normal = nnx.initializers.normal(1.0)
    return _recurrent(lambda rngs: nnx.GRUCell(x.shape[-1], features, bias_init=normal, rngs=rngs), x)

"""Layers: records with `init` and `apply`, both pure; `layer` holds the protocol, `serial` composes."""

from jaxopt_notes.layers.activation import Activation, activation
from jaxopt_notes.layers.batch_norm import BatchNorm, batch_norm, moments, normalize
from jaxopt_notes.layers.cnn import cnn
from jaxopt_notes.layers.conv import Conv, conv, conv2d, conv2d_im2col, conv2d_native
from jaxopt_notes.layers.dense import Dense, affine, dense
from jaxopt_notes.layers.dropout import Dropout, dropout, dropout_mask
from jaxopt_notes.layers.flatten import Flatten, flatten
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.layer_norm import LayerNorm, layer_norm
from jaxopt_notes.layers.mlp import mlp
from jaxopt_notes.layers.pooling import AveragePool, MaxPool, average_pool, max_pool
from jaxopt_notes.layers.serial import Serial, serial

LAYERS = {
    factory.__name__: factory
    for factory in (
        activation,
        average_pool,
        batch_norm,
        cnn,
        conv,
        dense,
        dropout,
        flatten,
        layer_norm,
        max_pool,
        mlp,
        serial,
    )
}

__all__ = [
    "LAYERS",
    "Activation",
    "AveragePool",
    "BatchNorm",
    "Conv",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LayerNorm",
    "MaxPool",
    "Serial",
    "activation",
    "affine",
    "average_pool",
    "batch_norm",
    "cnn",
    "conv",
    "conv2d",
    "conv2d_im2col",
    "conv2d_native",
    "dense",
    "dropout",
    "dropout_mask",
    "flatten",
    "layer_norm",
    "max_pool",
    "mlp",
    "moments",
    "normalize",
    "serial",
]

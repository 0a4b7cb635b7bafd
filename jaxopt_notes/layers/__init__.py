"""Layers: records with `init` and `apply`, both pure.

    model = serial(dense(64), jax.nn.relu, dropout(0.2), dense(10))
    params, state = model.init(key, x)                            # x: a batch, or its shape and dtype
    y, state = model.apply(params, state, x, key=key, train=True)
    y, _ = model.apply(params, state, x)                          # evaluation

Numbers of a layer (rates, ε, momentum) are leaves; shapes and names are structure. Parameters have Flax's
names. Beneath each record is its formula as a plain function (`affine`, `normalize`, …). A function of x
alone stands where a layer does. `layer` holds the protocol; `serial`, `residual`, `branch`, `parallel` and
`repeat` compose; `capture` hands over what every layer has put out.
"""

# ruff: noqa: F403

# One line for each layer: the names in its file's `__all__` are public, and its factory is in `LAYERS`.
from jaxopt_notes.layers.activation import *
from jaxopt_notes.layers.adaptive_pool import *
from jaxopt_notes.layers.attention import *
from jaxopt_notes.layers.batch_mask import *
from jaxopt_notes.layers.batch_norm import *
from jaxopt_notes.layers.batch_renorm import *
from jaxopt_notes.layers.bidirectional import *
from jaxopt_notes.layers.branch import *
from jaxopt_notes.layers.capture import *
from jaxopt_notes.layers.cnn import *
from jaxopt_notes.layers.conv import *
from jaxopt_notes.layers.conv_transpose import *
from jaxopt_notes.layers.dense import *
from jaxopt_notes.layers.drop_connect import *
from jaxopt_notes.layers.drop_path import *
from jaxopt_notes.layers.dropout import *
from jaxopt_notes.layers.embedding import *
from jaxopt_notes.layers.flatten import *
from jaxopt_notes.layers.fractional_max_pool import *
from jaxopt_notes.layers.gaussian_noise import *
from jaxopt_notes.layers.global_pool import *
from jaxopt_notes.layers.glu import *
from jaxopt_notes.layers.group_norm import *
from jaxopt_notes.layers.gru import *
from jaxopt_notes.layers.layer import *
from jaxopt_notes.layers.layer_norm import *
from jaxopt_notes.layers.local_response_norm import *
from jaxopt_notes.layers.locally_connected import *
from jaxopt_notes.layers.lstm import *
from jaxopt_notes.layers.max_unpool import *
from jaxopt_notes.layers.maxout import *
from jaxopt_notes.layers.mixed_precision import *
from jaxopt_notes.layers.mlp import *
from jaxopt_notes.layers.monte_carlo import *
from jaxopt_notes.layers.noise import *
from jaxopt_notes.layers.normalization import *
from jaxopt_notes.layers.pixel_shuffle import *
from jaxopt_notes.layers.pooling import *
from jaxopt_notes.layers.positions import *
from jaxopt_notes.layers.prelu import *
from jaxopt_notes.layers.recurrent import *
from jaxopt_notes.layers.remat import *
from jaxopt_notes.layers.repeat import *
from jaxopt_notes.layers.residual import *
from jaxopt_notes.layers.rms_norm import *
from jaxopt_notes.layers.rnn import *
from jaxopt_notes.layers.sequence_pool import *
from jaxopt_notes.layers.serial import *
from jaxopt_notes.layers.shared import *
from jaxopt_notes.layers.spatial_dropout import *
from jaxopt_notes.layers.spectral_norm import *
from jaxopt_notes.layers.squeeze_excite import *
from jaxopt_notes.layers.transformer import *
from jaxopt_notes.layers.upsample import *
from jaxopt_notes.layers.weight_norm import *
from jaxopt_notes.layers.weight_standardization import *
from jaxopt_notes.registry import public_names as _public_names
from jaxopt_notes.registry import returning as _returning

LAYERS = _returning(globals(), "init", "apply")
"""The layers by name: what returns a record with `init` and `apply`."""

__all__ = ["LAYERS", *_public_names(__name__, globals())]

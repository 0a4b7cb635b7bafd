"""Ready models, each a short file made of layers: read one, copy it, change it.

    model = cifar_resnet(classes=10, depth=20)               # lenet, vgg, densenet, fcn, lstm_classifier, …
    params, state = model.init(key, x)
    y, state = model.apply(params, state, x, key=key, train=True)

A model is a layer: `init(key, x) -> (params, state)`, `apply(params, state, x, key=, train=) -> (y, state)`.
What it is made of is in `jaxopt_notes.layers`, where `mlp` and `cnn` stand too.
"""

# ruff: noqa: F403

# One line for each file: the names in its `__all__` are public, and its models are in `MODELS`.
from jaxopt_notes.models.autoencoder import *
from jaxopt_notes.models.densenet import *
from jaxopt_notes.models.fcn import *
from jaxopt_notes.models.lenet import *
from jaxopt_notes.models.lstm_classifier import *
from jaxopt_notes.models.resnet import *
from jaxopt_notes.models.transformers import *
from jaxopt_notes.models.vgg import *
from jaxopt_notes.registry import public_names as _public_names
from jaxopt_notes.registry import returning as _returning

MODELS = _returning(globals(), "init", "apply")
"""The models by name."""

__all__ = ["MODELS", *_public_names(__name__, globals())]

"""Initializers: records called `(key, shape, dtype=float32)` that draw the first parameters.

    kernel = he_normal()(key, (784, 128))
    layer = dense(128, kernel_init=orthogonal())
    recommended("selu")                                      # which one, by the activation behind it

Their numbers are leaves, so a batch of standard deviations is `jax.vmap(normal)(stddevs)` and one
draw from each `jax.vmap(lambda init, key: init(key, shape))(batch, keys)`. They fit wherever JAX's
own initializers do, such as Flax's `kernel_init`.
"""

# ruff: noqa: F403

# One line for each file: the names in its `__all__` are public, and the factories are in `INITIALIZERS`.
from jaxopt_notes.initializers.bilinear import *
from jaxopt_notes.initializers.constant import *
from jaxopt_notes.initializers.delta_orthogonal import *
from jaxopt_notes.initializers.fans import *
from jaxopt_notes.initializers.fixup import *
from jaxopt_notes.initializers.he import *
from jaxopt_notes.initializers.identity import *
from jaxopt_notes.initializers.initializer import *
from jaxopt_notes.initializers.lsuv import *
from jaxopt_notes.initializers.mup import *
from jaxopt_notes.initializers.normal import *
from jaxopt_notes.initializers.orthogonal import *
from jaxopt_notes.initializers.pretrained import *
from jaxopt_notes.initializers.recommended import *
from jaxopt_notes.initializers.sparse import *
from jaxopt_notes.initializers.truncated_normal import *
from jaxopt_notes.initializers.uniform import *
from jaxopt_notes.initializers.variance_scaling import *
from jaxopt_notes.initializers.xavier import *
from jaxopt_notes.registry import public_names as _public_names
from jaxopt_notes.registry import returning as _returning

INITIALIZERS = _returning(globals(), "__call__")
"""The initializers by name."""

__all__ = ["INITIALIZERS", *_public_names(__name__, globals())]

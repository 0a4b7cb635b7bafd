"""Initializers: records called `(key, shape, dtype=float32)` that draw the first parameters.

Their numbers are leaves, so a batch of standard deviations is `jax.vmap(normal)(stddevs)` and one
draw from each `jax.vmap(lambda init, key: init(key, shape))(batch, keys)`. They fit wherever JAX's
own initializers do, such as Flax's `kernel_init`.
"""

from jaxopt_notes.initializers.constant import Constant, constant, ones, zeros
from jaxopt_notes.initializers.fans import fans
from jaxopt_notes.initializers.he import He, he_normal, he_uniform
from jaxopt_notes.initializers.initializer import check_initializer
from jaxopt_notes.initializers.normal import Normal, normal
from jaxopt_notes.initializers.orthogonal import Orthogonal, orthogonal
from jaxopt_notes.initializers.pretrained import from_pretrained
from jaxopt_notes.initializers.recommended import recommended
from jaxopt_notes.initializers.truncated_normal import TruncatedNormal, truncated_normal
from jaxopt_notes.initializers.uniform import Uniform, uniform
from jaxopt_notes.initializers.variance_scaling import (
    VarianceScaling,
    fan_in_uniform,
    lecun_normal,
    lecun_uniform,
    variance_scaling,
)
from jaxopt_notes.initializers.xavier import Xavier, xavier_normal, xavier_uniform

INITIALIZERS = {
    factory.__name__: factory
    for factory in (
        zeros,
        ones,
        constant,
        normal,
        uniform,
        truncated_normal,
        variance_scaling,
        lecun_normal,
        lecun_uniform,
        fan_in_uniform,
        xavier_normal,
        xavier_uniform,
        he_normal,
        he_uniform,
        orthogonal,
    )
}

__all__ = [
    "INITIALIZERS",
    "Constant",
    "He",
    "Normal",
    "Orthogonal",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "Xavier",
    "check_initializer",
    "constant",
    "fan_in_uniform",
    "fans",
    "from_pretrained",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "recommended",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

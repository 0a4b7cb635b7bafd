"""Group and instance normalization against the formula in NumPy."""

import jax
import numpy as np

from jaxopt_notes.layers.group_norm import group_norm, instance_norm


def test_the_formula():
    x = np.random.default_rng(0).normal(2, 3, size=(2, 3, 2, 6)).astype(np.float32)
    params = {"scale": np.linspace(0.5, 2, 6, dtype=np.float32), "bias": np.arange(6, dtype=np.float32)}

    @jax.jit
    def both(x):
        return [layer.apply(params, (), x)[0] for layer in (group_norm(2, eps=0.1), instance_norm(eps=0.1))]

    for groups, found in zip((2, 6), both(x), strict=True):
        parts = np.float64(x).reshape(2, 6, groups, 6 // groups)
        mean, var = parts.mean((1, 3), keepdims=True), parts.var((1, 3), keepdims=True)
        expected = ((parts - mean) / np.sqrt(var + 0.1)).reshape(x.shape)
        np.testing.assert_allclose(found, expected * params["scale"] + params["bias"], rtol=1e-5, atol=1e-5)

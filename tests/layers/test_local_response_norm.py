"""Local response normalization against a loop over channels."""

import jax
import numpy as np
import pytest

from jaxopt_notes.layers.local_response_norm import local_response_norm


@pytest.mark.parametrize("size", [3, 4])
def test_an_even_neighbourhood_reaches_further_down_than_up(size):
    x = np.random.default_rng(0).normal(size=(2, 7)).astype(np.float32)
    layer = local_response_norm(size, alpha=0.5, beta=0.75, k=1.5)
    expected = np.empty((2, 7))
    for i in range(7):
        first = i - size // 2
        around = [j for j in range(first, first + size) if 0 <= j < 7]
        expected[:, i] = x[:, i] / (1.5 + 0.5 * (np.float64(x[:, around]) ** 2).sum(1)) ** 0.75
    np.testing.assert_allclose(jax.jit(lambda x: layer.apply({}, (), x)[0])(x), expected, rtol=1e-5)

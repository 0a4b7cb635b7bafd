"""Orthogonal kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import orthogonal


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (3, 3, 2, 5)])
def test_columns_or_rows_are_orthonormal(shape, key):
    kernel = np.asarray(orthogonal(1.5)(key, shape)).reshape(-1, shape[-1])
    singular = np.linalg.svd(kernel, compute_uv=False)
    np.testing.assert_allclose(singular, 1.5, rtol=1e-5)


def test_lengths_are_kept_over_any_depth(key):
    x = jnp.arange(1.0, 9.0)
    y = x
    for _ in range(50):
        y = y @ orthogonal()(key, (8, 8))
    assert float(jnp.linalg.norm(y)) == pytest.approx(float(jnp.linalg.norm(x)), rel=1e-4)


def test_the_rotation_is_uniform(key):
    """Every entry has mean 0 and variance 1/n; QR alone would favour one sign on the diagonal."""
    draws = jax.vmap(lambda key: orthogonal()(key, (3, 3)))(jax.random.split(key, 4000))
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=5 * (1 / 3 / 4000) ** 0.5)
    np.testing.assert_allclose(draws.var(axis=0), 1 / 3, rtol=0.1)

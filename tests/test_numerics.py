"""Products that are right where their factors are large, and of full precision on every device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.numerics import mean_product, precise_matmul, precise_vdot, sums_by_index


def test_the_mean_of_products_is_right_where_a_product_leaves_the_range():
    a, b = np.float32([2.0**100, 1, 2, 3]), np.float32([2.0**28, 1, 2, 3])
    found = jax.jit(lambda a, b: mean_product(a, b, (0,)))(a, b)
    np.testing.assert_allclose(found, 2.0**126, rtol=1e-6)  # the first product is 2¹²⁸


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_products_of_algebra_ask_for_full_precision(platform):
    matrix = jnp.ones((4, 4))
    for product, operands in ((precise_matmul, (matrix, matrix)), (precise_vdot, (matrix[0], matrix[1]))):
        text = jax.jit(product).trace(*operands).lower(lowering_platforms=(platform,)).as_text()
        assert "precision = [HIGHEST, HIGHEST]" in text


def test_sums_by_index_keep_their_digits():
    """As NumPy's in float64; one to another, 300,000 numbers lose two digits more."""
    rng = np.random.default_rng(0)
    for n, length in ((300_000, 3), (5000, 2500), (7, 4), (0, 2)):
        index, values = rng.integers(0, length, n), rng.gamma(0.5, size=n).astype(np.float32)
        found = jax.jit(sums_by_index, static_argnums=2)(index, values, length)
        exact = np.bincount(index, values.astype(float), minlength=length)
        np.testing.assert_allclose(found, exact, rtol=3e-7)

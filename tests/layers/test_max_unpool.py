"""Unpooling: the places of maxima, and the transpose of the pooling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import max_pool, max_pool_switches, max_unpool, unpool
from tests.compiled import apply, compiled

CASES = [((7, 5), (2, 2), (2, 2), "VALID"), ((6, 5), (3, 2), (2, 1), "SAME"), ((9,), (3,), (2,), ((1, 2),))]


@pytest.mark.parametrize("case", CASES)
def test_unpooling_is_the_transpose_of_the_pooling(case):
    """Whole numbers, with ties: the places are those that receive the gradient."""
    size, window, strides, padding = case
    x = jnp.asarray(np.random.default_rng(0).integers(0, 4, size=(2, *size, 3)), jnp.float32)
    layer = max_pool(window, strides, padding)

    @jax.jit
    def both(x):
        y, pull = jax.vjp(lambda x: apply(layer, {}, (), x)[0], x)
        pooled, switches = max_pool_switches(x, window, strides, padding)
        way = jnp.cos(jnp.arange(1.0, y.size + 1)).reshape(y.shape)
        back, _ = apply(max_unpool(window, strides), {}, (), way, switches=switches, size=size)
        return y, pooled, pull(way)[0], back

    y, pooled, gradient, back = both(x)
    np.testing.assert_array_equal(pooled, y)
    np.testing.assert_allclose(back, gradient, atol=1e-6)


def test_without_switches_values_stand_at_the_first_pixel_of_their_windows():
    y, _ = apply(max_unpool((2, 3), (2, 2)), {}, (), jnp.arange(1.0, 5.0).reshape(1, 2, 2, 1))
    want = np.zeros((4, 5))
    want[::2, :3:2] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(y[0, :, :, 0], want)


def test_values_that_share_a_place_are_added():
    y = compiled(unpool)(np.float32([[[1], [2]]]), np.array([[[1], [1]]], np.int32), (3,))
    np.testing.assert_array_equal(np.ravel(y), [0, 3, 0])


def test_nan_is_found():
    x = np.float32([[1, 1], [np.nan, 1]]).reshape(1, 2, 2, 1)
    _, switches = compiled(max_pool_switches)(x)
    assert switches.item() == 2

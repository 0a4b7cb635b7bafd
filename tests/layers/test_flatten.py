"""Flatten keeps the batch and row-major order."""

import jax.numpy as jnp
import numpy as np

from jaxopt_notes.layers import flatten
from tests.compiled import apply


def test_order():
    x = np.arange(24).reshape(2, 3, 2, 2)
    y, _ = apply(flatten(), {}, (), jnp.asarray(x))
    np.testing.assert_array_equal(y, [np.arange(12), np.arange(12, 24)])


def test_an_empty_batch_keeps_its_features():
    assert apply(flatten(), {}, (), jnp.ones((0, 2, 3)))[0].shape == (0, 6)

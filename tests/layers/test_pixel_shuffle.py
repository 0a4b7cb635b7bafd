"""Pixel shuffle: which channel becomes which pixel, and back."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import pixel_shuffle, pixel_unshuffle
from tests.compiled import apply


def test_every_value_goes_where_the_formula_says():
    x = jnp.arange(2 * 2 * 3 * 18.0).reshape(2, 2, 3, 18)
    y, _ = apply(pixel_shuffle(3), {}, (), x)
    assert y.shape == (2, 6, 9, 2)
    for p, q, i, j, c in itertools.product(range(2), range(3), range(3), range(3), range(2)):
        np.testing.assert_array_equal(y[:, 3 * p + i, 3 * q + j, c], x[:, p, q, c * 9 + i * 3 + j])
    np.testing.assert_array_equal(apply(pixel_unshuffle(3), {}, (), y)[0], x)


def test_errors():
    with pytest.raises(ValueError, match=r"pixel_shuffle\(x\) has 6 channels, expected a multiple of 2² = 4"):
        apply(pixel_shuffle(), {}, (), jnp.ones((1, 2, 2, 6)))
    with pytest.raises(ValueError, match=r"pixel_unshuffle\(x\) has 4×3 pixels, expected multiples of 2"):
        apply(pixel_unshuffle(), {}, (), jnp.ones((1, 4, 3, 6)))

"""Fans of dense and convolution kernels."""

import pytest

from jaxopt_notes.initializers import fans


@pytest.mark.notes("S2-10", "S2-23")
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((128, 64), (128, 64)),
        ((3, 3, 16, 32), (144, 288)),  # HWIO: receptive field × channels
        ((5, 8, 4), (40, 20)),
        ((2, 3, 4, 5, 6), (120, 144)),
        ((0, 7), (0, 7)),
    ],
)
def test_fans(shape, expected):
    assert fans(shape) == expected


@pytest.mark.parametrize("shape", [(), (5,)])
def test_a_scalar_and_a_vector_have_none(shape):
    with pytest.raises(ValueError, match="rank 2 or more"):
        fans(shape)

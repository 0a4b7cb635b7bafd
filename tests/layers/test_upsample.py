"""Upsampling against interpolation written in NumPy, and against `jax.image`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import upsample
from tests.compiled import apply


@pytest.mark.notes("S3-53")
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("size", "factor"), [((5,), (3,)), ((1,), (2,)), ((4, 3), (2, 4))])
def test_linear_interpolation(size, factor, align_corners, x64):
    x = np.random.default_rng(0).normal(size=(2, *size, 3))
    want = x
    for axis, r in enumerate(factor, 1):
        n, i = want.shape[axis], np.arange(want.shape[axis] * r)
        at = i * (n - 1) / (n * r - 1) if align_corners else (i + 0.5) / r - 0.5
        want = np.apply_along_axis(lambda line, n=n, at=at: np.interp(at, np.arange(n), line), axis, want)
    y, _ = apply(upsample(factor, align_corners=align_corners), {}, (), jnp.asarray(x))
    np.testing.assert_allclose(y, want, atol=1e-12)


def test_it_is_the_resizing_of_jax(key):
    x = jax.random.normal(key, (2, 4, 3, 5))
    want = jax.image.resize(x, (2, 12, 9, 5), "linear")
    np.testing.assert_allclose(apply(upsample(3), {}, (), x)[0], want, rtol=1e-5, atol=1e-6)


def test_nearest_repeats_pixels():
    x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    y, _ = apply(upsample((1, 2), "nearest"), {}, (), x)
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, 0, 1, 1], [2, 2, 3, 3]])


def test_errors():
    with pytest.raises(ValueError, match=r"upsample\(method\) is 'cubic'"):
        upsample(2, "cubic")
    with pytest.raises(ValueError, match=r"upsample\(x\) has shape \(2, 3\)"):
        apply(upsample(), {}, (), jnp.ones((2, 3)))

"""Adaptive pooling against windows cut out in NumPy; `tests/interop` compares it with torch."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import adaptive_average_pool, adaptive_max_pool
from tests.compiled import apply


@pytest.mark.parametrize(
    ("size", "out"), [((7, 5), (3, 5)), ((4, 6), (2, 3)), ((3, 5), (4, 1)), ((11,), (4,))]
)
def test_windows(size, out):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    mean, largest = np.empty((2, *out, 3)), np.empty((2, *out, 3))
    for place in itertools.product(*map(range, out)):
        cut = tuple(
            slice(int(np.floor(i * n / m)), int(np.ceil((i + 1) * n / m)))
            for i, n, m in zip(place, size, out, strict=True)
        )
        axes = tuple(range(1, len(size) + 1))
        mean[:, *place], largest[:, *place] = x[:, *cut].mean(axes), x[:, *cut].max(axes)
    np.testing.assert_allclose(apply(adaptive_average_pool(out), {}, (), x)[0], mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(apply(adaptive_max_pool(out), {}, (), x)[0], largest.astype(np.float32))


def test_low_precision_mean_is_summed_in_float32():
    assert apply(adaptive_average_pool(1), {}, (), jnp.ones((1, 20, 20, 1), jnp.bfloat16))[0].item() == 1


def test_errors():
    with pytest.raises(ValueError, match=r"adaptive_max_pool\(size\) is 0"):
        adaptive_max_pool(0)
    with pytest.raises(ValueError, match=r"adaptive_average_pool\(x\) has shape \(2, 3\)"):
        apply(adaptive_average_pool(2), {}, (), jnp.ones((2, 3)))

"""Dense layers against NumPy in float64, and the precision they sum in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant
from jaxopt_notes.layers import affine, dense


def test_formula(x64):
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=(2, 3, 5)), rng.normal(size=(5, 4)), rng.normal(size=4)
    np.testing.assert_allclose(affine(*map(jnp.asarray, (x, kernel, bias))), x @ kernel + bias, rtol=1e-13)


def test_parameters(key):
    x = jax.ShapeDtypeStruct((8, 5), jnp.float32)
    params, state = dense(3, bias_init=constant(2.0)).init(key, x)
    assert (params["kernel"].shape, params["bias"].tolist(), state) == ((5, 3), [2.0] * 3, ())
    assert set(dense(3, use_bias=False).init(key, x)[0]) == {"kernel"}


def test_default_kernel_is_lecun_normal(key):
    params, _ = dense(400).init(key, jnp.ones((1, 300)))
    kernel = np.asarray(params["kernel"], np.float64)
    assert abs(kernel.std() - 300**-0.5) < 4 * 300**-0.5 / np.sqrt(2 * kernel.size)
    assert not params["bias"].any()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_low_precision_sums_in_float32(dtype):
    """4096 ones: a bfloat16 sum stops growing at 256."""
    y = affine(jnp.ones((1, 4096), dtype), jnp.ones((4096, 1)))
    assert y.dtype == dtype
    assert y.item() == 4096


def test_integers_are_read_as_floats(key):
    pixels = jnp.arange(6, dtype=jnp.uint8).reshape(2, 3)
    layer = dense(1, kernel_init=constant(0.5))
    params, _ = layer.init(key, pixels)
    assert params["kernel"].dtype == jnp.float32
    assert layer.apply(params, (), pixels)[0].tolist() == [[1.5], [6.0]]


@pytest.mark.parametrize(("features", "error"), [(0, ValueError), (2.5, TypeError)])
def test_errors(features, error):
    with pytest.raises(error, match=r"dense\(features\)"):
        dense(features)

"""Locally connected layers against their sum, place by place, and against the convolution they generalize."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import normal
from jaxopt_notes.layers import conv, locally_connected
from tests.compiled import apply, init


def test_every_place_has_its_own_kernel_and_bias(key, x64):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 6, 5, 3)))
    layer = locally_connected(
        4, (2, 3), strides=(2, 1), padding=((1, 0), (2, 1)), dilation=(2, 1), bias_init=normal()
    )
    params, state = init(layer, key, x)
    assert (params["kernel"].shape, params["bias"].shape) == ((3, 6, 2, 3, 3, 4), (3, 6, 4))
    kernel, bias = np.asarray(params["kernel"]), np.asarray(params["bias"])
    wide = np.pad(x, ((0, 0), (1, 0), (2, 1), (0, 0)))
    want = np.empty((2, 3, 6, 4))
    for p, q in itertools.product(range(3), range(6)):
        cut = wide[:, 2 * p : 2 * p + 3 : 2, q : q + 3]
        want[:, p, q] = np.tensordot(cut, kernel[p, q], 3) + bias[p, q]
    np.testing.assert_allclose(apply(layer, params, state, x)[0], want, atol=1e-12)


@pytest.mark.parametrize("padding", ["SAME", "CIRCULAR"])
def test_equal_kernels_make_a_convolution(padding, key):
    x = jax.random.normal(key, (2, 5, 7, 2))
    shared = conv(3, (3, 2), padding=padding)
    local = locally_connected(3, (3, 2), padding=padding)
    params, _ = init(shared, key, x)
    kernels = jnp.broadcast_to(params["kernel"], (5, 7, 3, 2, 2, 3))
    biases = jnp.broadcast_to(params["bias"], (5, 7, 3))
    y, _ = apply(local, {"kernel": kernels, "bias": biases}, (), x)
    np.testing.assert_allclose(y, apply(shared, params, (), x)[0], rtol=1e-5, atol=1e-6)


def test_kernels_begin_apart_with_the_variance_of_a_convolution(key):
    kernel = init(locally_connected(8), key, jax.ShapeDtypeStruct((1, 10, 10, 4), jnp.float32))[0]["kernel"]
    assert kernel.reshape(100, -1).std(0).min() > 0
    np.testing.assert_allclose(kernel.var(), 1 / (3 * 3 * 4), rtol=0.05)


def test_errors(key):
    layer = locally_connected(2, (3,), padding="VALID")
    params, _ = init(layer, key, jnp.ones((1, 6, 2)))
    with pytest.raises(ValueError, match=r"gives \(5,\) outputs, its kernel has \(4,\)"):
        apply(layer, params, (), jnp.ones((1, 7, 2)))
    with pytest.raises(ValueError, match="made for 2 features"):
        apply(layer, params, (), jnp.ones((1, 6, 3)))

"""What layers with weights share; the protocol of every registered layer is in `tests/properties`."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant, normal
from jaxopt_notes.layers import conv, dense
from tests.compiled import init


@pytest.mark.parametrize("make", [dense, functools.partial(conv, kernel_size=1)])
def test_kernel_and_bias_are_drawn_apart_and_as_they_were_asked_to(make, key):
    """With one input the kernel has as many numbers as the bias, and its key would draw the same ones."""
    x = jnp.ones((1, 1)) if make is dense else jnp.ones((1, 1, 1, 1))
    params, _ = init(make(8, kernel_init=normal(3.0), bias_init=normal(3.0)), key, x)
    kernel, bias = params["kernel"].ravel(), params["bias"]
    assert not np.isclose(kernel, bias, rtol=1e-3).any()
    params, _ = init(make(8, kernel_init=constant(2.0), bias_init=constant(5.0)), key, x)
    np.testing.assert_array_equal(params["kernel"].ravel(), 2)
    np.testing.assert_array_equal(params["bias"], 5)
    assert set(init(make(8, use_bias=False), key, x)[0]) == {"kernel"}

"""Activation layers: by name, by function, and with numbers of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.activations import ACTIVATIONS
from jaxopt_notes.layers import activation
from tests.compiled import apply


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_names(name):
    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
    found, want = jax.jit(lambda x: (apply(activation(name), {}, (), x)[0], ACTIVATIONS[name](x)))(x)
    np.testing.assert_array_equal(found, want)


def test_numbers_of_a_partial_are_leaves():
    def leaky(slope, x):
        return jnp.where(x > 0, x, slope * x)

    layers = jax.vmap(lambda slope: activation(jax.tree_util.Partial(leaky, slope)))(jnp.array([0.1, 0.5]))
    y = jax.vmap(lambda layer: apply(layer, {}, (), jnp.array([-2.0, 2.0]))[0])(layers)
    np.testing.assert_allclose(y, [[-0.2, 2.0], [-1.0, 2.0]], rtol=1e-6)


def test_is_an_argument_of_jit():
    assert jax.jit(lambda layer, x: apply(layer, {}, (), x)[0])(activation(jnp.tanh), jnp.zeros(())) == 0


def test_unknown_name():
    with pytest.raises(ValueError, match=r"activation\(function\) is 'rleu', expected one of .*'relu'"):
        activation("rleu")

"""What all layers check of their inputs."""

import re

import jax
import jax.numpy as jnp
import pytest

from jaxopt_notes.layers import batch_norm, conv, dense, layer_norm, mlp
from jaxopt_notes.search import log_uniform, normal, uniform
from tests.compiled import apply, init


@pytest.mark.parametrize("features", [1, 4])
@pytest.mark.parametrize("layer", [batch_norm(), conv(2, 1), dense(2), layer_norm(), mlp([2])], ids=repr)
def test_inputs_of_other_features_are_refused(layer, features):
    """One feature would otherwise be broadcast, and the answer have the shape of the parameters."""
    images = (5, 2, 2)
    params, state = init(layer, jax.random.key(0), jax.ShapeDtypeStruct((*images, 3), jnp.float32))
    with pytest.raises(ValueError, match=rf"\(x\) has shape \(5, 2, 2, {features}\), .* made for \(?3"):
        apply(layer, params, state, jnp.ones((*images, features)))


@pytest.mark.parametrize(
    "wrong", [normal(0.0, 0.1), uniform(0.0, 0.1), log_uniform(0.1, 1.0), 0.01], ids=repr
)
@pytest.mark.parametrize("argument", ["kernel_init", "bias_init"])
@pytest.mark.parametrize("layer", [dense, conv])
def test_a_distribution_in_place_of_an_initializer_names_the_initializer(layer, argument, wrong):
    message = re.escape(f"{layer.__name__}({argument}) is {wrong!r}, expected an initializer")
    with pytest.raises(TypeError, match=message + r".*jn\.initializers\.normal\(0\.01\)"):
        layer(2, **{argument: wrong})


def test_an_initializer_in_place_of_a_distribution_names_it():
    with pytest.raises(TypeError, match=r"for an initializer use jn\.initializers\.normal\(0\.01\)"):
        normal(0.01)

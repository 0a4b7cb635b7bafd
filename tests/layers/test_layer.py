"""What all layers check of their inputs."""

import jax
import jax.numpy as jnp
import pytest

from jaxopt_notes.layers import batch_norm, conv, dense, layer_norm, mlp


@pytest.mark.parametrize("features", [1, 4])
@pytest.mark.parametrize("layer", [batch_norm(), conv(2, 1), dense(2), layer_norm(), mlp([2])], ids=repr)
def test_inputs_of_other_features_are_refused(layer, features):
    """One feature would otherwise be broadcast, and the answer have the shape of the parameters."""
    images = (5, 2, 2)
    params, state = layer.init(jax.random.key(0), jax.ShapeDtypeStruct((*images, 3), jnp.float32))
    with pytest.raises(ValueError, match=rf"\(x\) has shape \(5, 2, 2, {features}\), .* made for 3 features"):
        layer.apply(params, state, jnp.ones((*images, features)))

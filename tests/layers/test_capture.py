"""Every intermediate activation by path, from any composition, without changing what the model does."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.layers import (
    batch_norm,
    branch,
    capture,
    dense,
    dropout,
    remat,
    repeat,
    residual,
    serial,
    shared,
)
from tests.compiled import apply, init


def test_all_compositions(key):
    """Paths are those of the parameters; outputs, the state and the draws are those of a plain run."""
    tied = shared(serial(dense(3), batch_norm()), "tied")
    block = residual(remat(serial(dense(3), jnp.tanh, dropout(0.5))), dense(3))
    model = serial(dense(3), repeat(block, 4), tied, branch(jnp.sin, jnp.cos, merge="sum"), tied)
    x = jax.random.normal(key, (5, 3))
    params, state = init(model, key, x)

    @jax.jit
    def both(x):
        return capture(model, params, state, x, key=key, train=True), apply(
            model, params, state, x, key=key, train=True
        )

    (y, after, outputs), (expected, kept) = both(x)
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    chex.assert_trees_all_close(after, kept, rtol=1e-5)
    shapes = {path: output.shape for path, output in outputs.items()}
    one, four = (5, 3), (4, 5, 3)
    assert shapes == {
        "layers_0": one,
        "layers_1": one,
        "layers_1/layer": four,
        "layers_1/layer/layer": four,
        "layers_1/layer/layer/layers_0": four,
        "layers_1/layer/layer/layers_1": four,
        "layers_1/layer/layer/layers_2": four,
        "layers_1/layer/shortcut": four,
        "tied[0]": one,
        "tied[1]": one,
        "tied/layers_0[0]": one,
        "tied/layers_0[1]": one,
        "tied/layers_1[0]": one,
        "tied/layers_1[1]": one,
        "layers_3": one,
        "layers_3/layers_0": one,
        "layers_3/layers_1": one,
    }


def test_values_are_those_of_the_layers(key):
    model = serial(dense(4), serial(jnp.tanh, dense(2)))
    x = jax.random.normal(key, (3, 5))
    params, state = init(model, key, x)
    y, after, outputs = capture(model, params, state, x)
    assert after == ()
    hidden = x @ params["layers_0"]["kernel"]
    np.testing.assert_allclose(outputs["layers_0"], hidden, rtol=1e-5)
    np.testing.assert_allclose(outputs["layers_1/layers_0"], jnp.tanh(hidden), rtol=1e-5)
    np.testing.assert_array_equal(outputs["layers_1"], y)


def test_blocks_of_a_repeat_are_in_order(key):
    model = repeat(serial(lambda x: x + 1), 3)
    y, _, outputs = capture(model, {}, (), jnp.zeros(1))
    assert (y.tolist(), outputs["layer"].ravel().tolist()) == ([3], [1, 2, 3])

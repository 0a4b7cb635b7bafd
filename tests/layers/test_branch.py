"""Layers beside each other, and the ways to merge what they make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.activations import identity
from jaxopt_notes.layers import batch_norm, branch, dense, dropout, parallel, shared
from tests.compiled import apply, init

X = jnp.array([[1.0, 2.0], [3.0, -4.0]])


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        ("concatenate", [[2, 4, 3, 4], [6, -8, 5, -2]]),
        ("sum", [[5, 8], [11, -10]]),
        ("mean", [[2.5, 4], [5.5, -5]]),
        ("product", [[6, 16], [30, 16]]),
        (lambda ys: ys[0] - ys[1], [[-1, 0], [1, -6]]),
    ],
)
def test_merges(merge, expected):
    y, state = apply(branch(lambda x: 2 * x, lambda x: x + 2, merge=merge), {}, (), X)
    assert (y.tolist(), state) == (expected, ())
    y, _ = apply(parallel(lambda x: 2 * x, lambda x: x + 2, merge=merge), {}, (), (X, X))
    assert y.tolist() == expected


def test_half_precision_is_summed_in_float32():
    """Two numbers of 2⁻¹¹ beside 1 are lost one by one in float16, and not together."""
    parts = [identity, lambda x: x * jnp.float16(2.0**-11), lambda x: x * jnp.float16(2.0**-11)]
    y, _ = apply(branch(*parts, merge="sum"), {}, (), jnp.ones(1, jnp.float16))
    assert (y.dtype, y.item()) == (jnp.float16, 1 + 2.0**-10)


def test_the_mean_of_three():
    y, _ = apply(branch(identity, identity, lambda x: 4 * x, merge="mean"), {}, (), X)
    np.testing.assert_array_equal(y, 2 * X)


def test_names_states_and_draws(key):
    """Child i draws from key i; parameters and states stand under its place."""
    layers = (dense(2), batch_norm(), dropout(0.5))
    for layer, x in ((branch(*layers, merge="tuple"), X), (parallel(*layers), (X, X, X))):
        params, state = init(layer, key, x)
        assert (set(params), set(state)) == ({"layers_0", "layers_1"}, {"layers_1"})
        keys = [jax.random.fold_in(key, i) for i in range(3)]
        np.testing.assert_array_equal(params["layers_0"]["kernel"], init(dense(2), keys[0], X)[0]["kernel"])
        y, after = apply(layer, params, state, x, key=key, train=True)
        np.testing.assert_array_equal(y[2], apply(dropout(0.5), {}, (), X, key=keys[2], train=True)[0])
        normed = apply(batch_norm(), params["layers_1"], state["layers_1"], X, train=True)
        jax.tree.map(np.testing.assert_array_equal, (y[1], after["layers_1"]), normed)


def test_a_siamese_network_has_one_set_of_weights(key):
    encoder = shared(dense(3), "encoder")
    model = parallel(encoder, encoder, merge=lambda ys: jnp.sum((ys[0] - ys[1]) ** 2, -1))
    params, _ = init(model, key, (X, X))
    assert set(params) == {"encoder"}
    distance = apply(model, params, (), (X, 2 * X))[0]
    np.testing.assert_allclose(distance, jnp.sum((X @ params["encoder"]["kernel"]) ** 2, -1), rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r'merge="sum" is given \(2, 2\), \(2, 1\), expected equal shapes.'):
        apply(branch(identity, lambda x: x[:, :1], merge="sum"), {}, (), X)
    with pytest.raises(
        ValueError, match=r'merge="concatenate" is given \(2, 2\), \(1, 2\).*but for the last'
    ):
        apply(branch(identity, lambda x: x[:1]), {}, (), X)
    with pytest.raises(ValueError, match=r"branch\(merge\) is 'max', expected one of 'concatenate'"):
        branch(identity, merge="max")
    with pytest.raises(ValueError, match=r"parallel\(x\) is 1 inputs, expected a tuple .* its 2 layers"):
        apply(parallel(identity, identity), {}, (), (X,))
    with pytest.raises(ValueError, match=r"parallel\(x\) is a .*Array"):
        parallel(identity, identity).apply({}, (), X)

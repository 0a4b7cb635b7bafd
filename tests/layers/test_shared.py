"""Shared parameters: one entry, gradients that add up, a state that passes on, draws of their own."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import batch_norm, dense, dropout, serial, shared
from tests.compiled import apply, grad, init


def test_gradients_of_all_places_add_up(x64, key):
    tied = shared(dense(3, use_bias=False), "tied")
    model, rng = serial(tied, jnp.sin, tied), np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 3))
    params, state = init(model, key, x)
    assert (list(params), state) == (["tied"], ())
    assert params["tied"]["kernel"].shape == (3, 3)
    grads = grad(lambda params: model.apply(params, (), x)[0].sum())({"tied": {"kernel": w}})
    ones = np.ones((4, 3))
    expected = np.sin(x @ w).T @ ones + x.T @ (ones @ w.T * np.cos(x @ w))
    np.testing.assert_allclose(grads["tied"]["kernel"], expected, rtol=1e-12)


def test_a_state_passes_from_place_to_place(key):
    norm = batch_norm(momentum=0.5, unbiased=False)
    tied = shared(norm, "norm")
    x = jnp.array([[1.0], [3.0]])
    model = serial(tied, lambda x: x + 6, tied)
    params, state = init(model, key, x)
    _, after = apply(model, params, state, x, train=True)
    assert after["norm"]["mean"].tolist() == [0.5 * (0.5 * 0 + 0.5 * 2) + 0.5 * 6]


def test_each_place_draws_for_itself(key):
    tied = shared(dropout(0.5), "noise")
    y = apply(serial(tied, tied), {}, (), np.ones((1, 4000), np.float32), key=key, train=True)[0]
    assert abs((np.asarray(y) != 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)


def test_a_name_is_a_string():
    with pytest.raises(TypeError, match=r"shared\(name\) is 3"):
        shared(dense(2), 3)

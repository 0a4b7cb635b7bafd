"""Chains: one transform after the other, of this library and of others."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.core.chain import chain
from jaxopt_notes.optimizers.momentum import momentum
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.optimizers.transforms.clipping import clip_by_value
from jaxopt_notes.optimizers.transforms.weight_decay import weight_decay
from tests.optimizers.runs import assert_follows


class Functions(NamedTuple):
    """What other libraries call a gradient transformation."""

    init: object
    update: object


def scaled_by_loss(updates, state, params=None, *, loss, **extra):
    return jax.tree.map(lambda u: loss * u, updates), state


def test_golden(x64):
    """Clip by value, then momentum, then decay, in this order."""

    def reference(theta, grads):
        v = np.zeros_like(theta)
        for g in grads:
            v = 0.9 * v + 0.1 * np.clip(g, -0.5, 0.5)
            theta = theta - v - 0.02 * theta
            yield theta

    assert_follows(chain(clip_by_value(0.5), momentum(0.1, 0.9), weight_decay(0.02, mask=None)), reference)


def test_empty_chain_is_the_identity():
    g = jnp.array([1.0, -2.0])
    updates, state = chain().update(g, chain().init(g))
    np.testing.assert_array_equal(updates, g)
    assert state == ()


def test_chains_nest(x64):
    def reference(theta, grads):
        for g in grads:
            theta = theta - 0.5 * np.clip(g, -0.5, 0.5)
            yield theta

    assert_follows(chain(chain(clip_by_value(0.5)), chain(chain(), sgd(0.5))), reference)


def test_numbers_of_every_part_are_leaves():
    optimizer = chain(clip_by_value(0.5), adam(0.1))
    assert jax.tree.leaves(optimizer) == [0.5, 0.1, 0.9, 0.999, 1e-8, 0.0]


def test_functions_of_another_library_take_what_they_ask_for():
    """Extra arguments reach a function that takes them, and spare one that does not."""
    halve = Functions(lambda params: (), lambda g, s, p=None: (jax.tree.map(lambda x: x / 2, g), s))
    by_loss = Functions(lambda params: (), scaled_by_loss)
    optimizer = chain(halve, by_loss, sgd(1.0))
    update = jax.jit(lambda optimizer, g: optimizer.update(g, optimizer.init(g), None, loss=3.0)[0])
    np.testing.assert_allclose(update(optimizer, jnp.array([2.0])), [-3.0])
    assert jax.tree.leaves(optimizer) == [1.0]


def test_what_is_wrong_is_named():
    with pytest.raises(TypeError, match=r"is not a gradient transform: expected an object with init"):
        chain(sgd(), jnp.sin)
    optimizer = chain(sgd(), adam())
    state = chain(sgd()).init(jnp.ones(2))
    with pytest.raises(ValueError, match="chain has 2 transforms, but its state has 1 parts"):
        optimizer.update(jnp.ones(2), state)

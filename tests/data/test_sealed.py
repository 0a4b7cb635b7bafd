"""The sealed test set opens once, and by no other way."""

import copy
import pickle

import jax
import jax.numpy as jnp
import pytest

from jaxopt_notes.data import SealedTestSet


@pytest.mark.notes("S0-06")
def test_it_opens_once():
    x, y = jnp.arange(3.0), jnp.arange(3)
    sealed = SealedTestSet((x, y))
    assert not sealed.opened
    data = sealed.open()
    assert data[0] is x
    assert sealed.opened
    with pytest.raises(RuntimeError, match=r"opened already, .* validation scores"):
        sealed.open()


@pytest.mark.notes("S0-06")
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_there_is_no_second_copy(way):
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        way(SealedTestSet((jnp.zeros(2), jnp.zeros(2))))


@pytest.mark.notes("S0-06")
def test_no_compiled_function_takes_it():
    """So no search or training run, which are functions of arrays, can be given a test set."""
    with pytest.raises(TypeError, match="SealedTestSet"):
        jax.jit(lambda data: data)(SealedTestSet((jnp.zeros(2), jnp.zeros(2))))


def test_it_does_not_show_its_data():
    sealed = SealedTestSet(([42], [42]))
    assert repr(sealed) == "SealedTestSet(sealed)"
    sealed.open()
    assert repr(sealed) == "SealedTestSet(opened)"

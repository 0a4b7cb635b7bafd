"""Sobol's sequence as a strategy: balanced, extensible, a function of the key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search import integers, uniform
from jaxopt_notes.search.strategies.sobol import sobol
from tests.search import curves

SPACE = {"a": uniform(0.0, 1.0), "b": uniform(0.0, 1.0), "c": integers(0, 8)}


def ask_all(strategy, key):
    return curves.ask_all(strategy, SPACE, key)[0]


def test_powers_of_two_are_balanced_in_every_hyperparameter_and_in_pairs(key):
    configs = ask_all(sobol(64), key)
    assert (np.bincount(configs["c"]) == 8).all()
    for name in ("a", "b"):
        assert (np.bincount(np.asarray(64 * configs[name], int)) == 1).all()
    cells = np.asarray(8 * configs["a"], int) * 8 + np.asarray(8 * configs["b"], int)
    assert (np.bincount(cells) == 1).all()  # a (0, 6, 2)-net: one in each of 8 × 8 squares


def test_more_points_begin_with_the_fewer(key):
    few, many, other = ask_all(sobol(5), key), ask_all(sobol(100), key), ask_all(sobol(5), jax.random.key(1))
    for name, column in few.items():
        np.testing.assert_array_equal(column, many[name][:5])
    assert (few["a"] != other["a"]).all()


def test_batches_are_parts_of_the_whole_and_it_ends(key):
    strategy = sobol(11)
    state, whole, parts = strategy.init(key, SPACE), ask_all(strategy, key), []
    for n in (4, 4, 3):
        part, state = jax.jit(strategy.ask, static_argnums=2)(state, jax.random.key(n), n)
        parts.append(part)
    for name in whole:
        np.testing.assert_allclose(whole[name], np.concatenate([part[name] for part in parts]), rtol=1e-6)
    assert strategy.remaining(state) == 0
    with pytest.raises(ValueError, match="Sobol: asked for 1 configurations, 0 are wanted"):
        strategy.ask(jax.device_get(state), key, 1)


def test_it_integrates_better_than_chance(key):
    """The mean of x·y over 256 points: an error far below that of as many random ones, 0.22/16."""
    configs = ask_all(sobol(256), key)
    assert abs(jnp.mean(configs["a"] * configs["b"]) - 0.25) < 0.002


@pytest.mark.full
def test_it_starts_inside_jit_and_for_many_keys_at_once(key):
    start = lambda key: sobol(5).init(key, SPACE).points  # noqa: E731
    keys = jax.random.split(key, 3)
    many = jax.jit(jax.vmap(start))(keys)
    np.testing.assert_array_equal(many, [start(key) for key in keys])
    assert len(np.unique(many[:, 0], axis=0)) == 3


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"sobol\(n\) is 0"):
        sobol(0)

"""Halton's sequence as a strategy: balanced in prime bases, extensible, a function of the key."""

import jax
import numpy as np
import pytest

from jaxopt_notes.search import integers
from jaxopt_notes.search.strategies.halton import halton

SPACE = {"a": integers(0, 2), "b": integers(0, 3), "c": integers(0, 5)}


def test_each_hyperparameter_is_balanced_in_its_prime(key):
    strategy = halton(30)
    configs, state = strategy.ask(strategy.init(key, SPACE), key, 30)
    for name, base in zip("abc", (2, 3, 5), strict=True):
        assert (np.bincount(configs[name]) == 30 // base).all()
    assert len(set(zip(*(configs[name].tolist() for name in "abc"), strict=True))) == 30  # 2·3·5, all of them
    assert strategy.remaining(state) == 0


def test_more_points_begin_with_the_fewer(key):
    few, many, other = (
        halton(n).init(k, SPACE).points for n, k in ((5, key), (40, key), (5, jax.random.key(1)))
    )
    np.testing.assert_array_equal(few, many[:5])
    assert (few != other).any()


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"halton\(n\) is 0"):
        halton(0)

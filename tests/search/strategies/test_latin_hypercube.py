"""Latin hypercubes: one point in each interval of each hyperparameter, the rest at random."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search import log_uniform, uniform
from jaxopt_notes.search.strategies.latin_hypercube import (
    latin_hypercube,
    latin_hypercube_points,
)


def test_every_interval_has_one_point(key):
    points = jax.vmap(lambda key: latin_hypercube_points(key, 7, 3))(jax.random.split(key, 500))
    assert ((points >= 0) & (points < 1)).all()
    np.testing.assert_array_equal(
        np.sort(np.floor(7 * points), axis=1), np.tile(np.arange(7.0)[:, None], (500, 1, 3))
    )
    # the axes are shuffled apart, and within its interval a point is anywhere
    correlation = np.corrcoef(np.asarray(points).reshape(-1, 3).T)
    assert np.abs(correlation - np.eye(3)).max() < 0.06
    place = np.asarray(7 * points).ravel() % 1
    assert abs(place.mean() - 0.5) < 0.02
    assert abs(place.std() - 12**-0.5) < 0.02


def test_it_spreads_over_the_decades(key):
    strategy = latin_hypercube(9)
    configs, state = strategy.ask(
        strategy.init(key, {"rate": log_uniform(1e-9, 1.0), "x": uniform(0.0, 1.0)}), key, 9
    )
    decades = jnp.sort(jnp.floor(jnp.log10(configs["rate"])))
    np.testing.assert_array_equal(decades, np.arange(-9.0, 0.0))
    assert strategy.remaining(state) == 0


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"latin_hypercube\(n\) is 0"):
        latin_hypercube(0)

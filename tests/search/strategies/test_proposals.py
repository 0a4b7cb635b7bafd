"""Candidates and climbing: spread over the cube and about the best, uphill, never twice the same."""

import jax.numpy as jnp
import numpy as np

from jaxopt_notes.search import integers, static_choice, uniform
from jaxopt_notes.search.spaces.space import dimensions
from jaxopt_notes.search.strategies.proposals import climb, distinct, is_new, scatter


def test_half_of_the_candidates_are_anywhere_and_half_near_the_best(key):
    axes = dimensions({"a": uniform(0.0, 1.0), "b": integers(0, 9), "c": static_choice(["x", "y", "z"])})
    center = jnp.array([0.5, 0.5, 0.1])
    points = scatter(key, 2000, axes, center)
    assert ((points >= 0) & (points <= 1)).all()
    anywhere, near = points[::2], points[1::2]
    assert np.histogram(anywhere[:, 0], 10, (0, 1))[0].min() > 60
    moved = np.abs(near - center[None])
    assert np.median(moved[:, 0][moved[:, 0] > 0]) < 0.1
    assert (moved[:, 0] == 0).mean() > 0.4  # the others may move while it stays
    assert np.histogram(near[:, 2][moved[:, 2] > 0], 3, (0, 1))[0].min() > 100  # a choice moves to any value


def test_climbing_reaches_the_top_and_stays_in_the_cube(x64):
    top = jnp.array([0.37, 1.2])
    found = climb(lambda u: -jnp.sum((u - top[None]) ** 2, axis=1), jnp.array([[0.1, 0.9], [0.6, 0.5]]))
    np.testing.assert_allclose(found, [[0.37, 1.0]] * 2, atol=5e-3)


def test_a_climb_never_ends_below_its_start():
    ripple = lambda u: jnp.sin(200 * u[:, 0]) - jnp.where(u[:, 0] > 0.9, jnp.nan, 0.0)  # noqa: E731
    start = jnp.linspace(0.05, 0.85, 9)[:, None]
    assert (ripple(climb(ripple, start)) >= ripple(start)).all()


def test_only_what_is_far_from_all_known_rows_is_new():
    taken, known = jnp.array([[0.5, 0.5], [0.1, 0.1]]), jnp.array([True, False])
    points = jnp.array([[0.5, 0.5], [0.5, 0.5 + 1e-5], [0.1, 0.1]])
    assert is_new(points, taken, known).tolist() == [False, True, True]
    repeated = jnp.array([[0.1], [0.2], [0.1], [0.3], [0.2]])
    assert distinct(repeated, 3)[:, 0].tolist() == jnp.array([0.1, 0.2, 0.3]).tolist()

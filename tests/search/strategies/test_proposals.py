"""Candidates and climbing: spread over the cube and about the best, uphill, never twice the same."""

import numpy as np

from jaxopt_notes.search import integers, static_choice, uniform
from jaxopt_notes.search.spaces.space import dimensions
from jaxopt_notes.search.strategies.proposals import climb, distinct, is_new, scatter


def test_half_of_the_candidates_are_anywhere_and_half_near_the_best():
    axes = dimensions({"a": uniform(0.0, 1.0), "b": integers(0, 9), "c": static_choice(["x", "y", "z"])})
    center = np.array([0.5, 0.5, 0.1])
    points = scatter(np.random.default_rng(0), 2000, axes, center)
    assert ((points >= 0) & (points <= 1)).all()
    anywhere, near = points[::2], points[1::2]
    assert np.histogram(anywhere[:, 0], 10, (0, 1))[0].min() > 60
    moved = np.abs(near - center[None])
    assert np.median(moved[:, 0][moved[:, 0] > 0]) < 0.1
    assert (moved[:, 0] == 0).mean() > 0.4  # the others may move while it stays
    assert np.histogram(near[:, 2][moved[:, 2] > 0], 3, (0, 1))[0].min() > 100  # a choice moves to any value


def test_climbing_reaches_the_top_and_stays_in_the_cube():
    """What may not move stays, and a slope that is no number moves nothing."""
    top = np.array([0.37, 1.2, 0.5])
    hill = lambda u: (-np.sum((u - top) ** 2, axis=1), -2 * (u - top))  # noqa: E731
    start = np.array([[0.1, 0.9, 0.2], [0.6, 0.5, 0.8]])
    found = climb(hill, start, np.array([True, True, False]))
    np.testing.assert_allclose(found, [[0.37, 1.0, 0.2], [0.37, 1.0, 0.8]], atol=1e-5)
    broken = lambda u: (u[:, 0] * 0, u * np.nan)  # noqa: E731
    np.testing.assert_array_equal(climb(broken, start, np.ones(3, bool)), start)


def test_only_what_is_far_from_all_known_rows_is_new():
    taken = np.array([[0.5, 0.5]])
    points = np.array([[0.5, 0.5], [0.5, 0.5 + 1e-5], [0.1, 0.1]])
    assert is_new(points, taken).tolist() == [False, True, True]
    assert is_new(np.ones((2, 0)), np.ones((1, 0))).tolist() == [False, False]  # a space of one configuration
    assert is_new(np.ones((1, 0)), np.ones((0, 0))).tolist() == [True]
    repeated = np.array([[0.1], [0.2], [0.1], [0.3], [0.2]])
    assert distinct(repeated, 3)[:, 0].tolist() == np.array([0.1, 0.2, 0.3]).tolist()

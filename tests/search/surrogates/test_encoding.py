"""What a surrogate model sees: snapped coordinates, simplex corners, and hyperparameters that are off."""

import numpy as np
import pytest

from jaxopt_notes.search import choice, integers, static_choice, uniform
from jaxopt_notes.search.spaces.conditional import conditional
from jaxopt_notes.search.spaces.space import dimensions
from jaxopt_notes.search.surrogates.encoding import (
    canonical,
    enumerate_points,
    feature_groups,
    features,
    features_slope,
    is_ordered,
)

SPACE = {
    "act": static_choice(["relu", "tanh", "gelu"]),
    "depth": integers(1, 5),
    "width": static_choice([64, 128, 256]),
    "slope": conditional(uniform(0.0, 1.0), "act", "relu", "gelu"),
    "x": uniform(0.0, 1.0),
}


def distances(points):
    f = features(dimensions(SPACE), points)
    return np.linalg.norm(f[:, None] - f[None], axis=2)


def test_canonical_points_are_the_configurations_they_stand_for():
    axes = dimensions(SPACE)
    points = np.random.default_rng(0).random((200, 5)).astype(np.float32)
    snapped = canonical(axes, points).astype(np.float32)
    for i, (name, axis) in enumerate(axes.items()):
        if name != "slope":
            np.testing.assert_array_equal(axis.from_unit(points[:, i]), axis.from_unit(snapped[:, i]))
    assert len(np.unique(snapped[:, 0])) == len(np.unique(snapped[:, 3])) == 3
    inactive = axes["act"].from_unit(points[:, 0]) == 1
    assert (snapped[inactive, 2] == 0.5).all()
    np.testing.assert_array_equal(snapped[~inactive, 2], points[~inactive, 2])


def test_distances_mean_what_they_say():
    """Columns: act, depth, slope, width, x."""
    base = [1 / 6, 0.125, 0.2, 1 / 6, 0.5]
    # tanh and gelu are as far from relu, and slope's centre is as far from every active slope
    tanh, gelu = [0.5, 0.125, 0.5, 1 / 6, 0.5], [5 / 6, 0.125, 0.2, 1 / 6, 0.5]
    d = distances(np.array([base, gelu, tanh]))
    np.testing.assert_allclose(d[0, 1], 1.0, rtol=1e-6)
    np.testing.assert_allclose(d[:2, 2], np.sqrt(2), rtol=1e-6)
    slopes = np.array([[1 / 6, 0.125, s, 1 / 6, 0.5] for s in (0.0, 0.4, 1.0)] + [tanh])
    np.testing.assert_allclose(distances(slopes)[:3, 3], np.sqrt(2), rtol=1e-6)
    assert 0 < distances(slopes)[0, 1] < distances(slopes)[0, 2]


def test_groups_name_the_axis_of_each_feature():
    assert feature_groups(dimensions(SPACE)) == (0, 0, 0, 1, 2, 2, 3, 4)
    assert features(dimensions(SPACE), np.full((2, 5), 0.5)).shape == (2, 8)


def test_slopes_by_the_features_become_slopes_by_the_coordinates():
    """Against differences; choices without order have none, and neither has what is inactive."""
    axes, step = dimensions(SPACE), 1e-6
    rng = np.random.default_rng(0)
    points = rng.random((6, 5))
    points[:, 0] = [0.1, 0.2, 0.5, 0.5, 0.9, 0.9]  # tanh is in the middle: slope is inactive
    weights = rng.normal(size=8)
    slope = features_slope(axes, points, np.broadcast_to(weights, (6, 8)))
    value = lambda u: features(axes, u) @ weights  # noqa: E731
    moves = [value(points + step * np.eye(5)[j]) - value(points - step * np.eye(5)[j]) for j in range(5)]
    np.testing.assert_allclose(slope[:, 1:], np.transpose(moves)[:, 1:] / (2 * step), atol=1e-8)
    assert (slope[:, 0] == 0).all()
    assert (slope[2:4, 2] == 0).all()
    assert (slope[[0, 1, 4, 5], 2] != 0).all()


def test_static_choices_of_numbers_in_order_are_ordered():
    assert is_ordered(static_choice([64, 128]))
    assert is_ordered(static_choice([3, 2, 1]))
    assert is_ordered(choice([0.1, 0.01, 0.5]))
    assert not is_ordered(static_choice([64, 256, 128]))
    assert not is_ordered(static_choice([True, False]))
    assert not is_ordered(static_choice([64, "wide"]))


def test_small_spaces_are_listed_without_repetition():
    """act × depth × width × (slope in two steps, where it is active): (2·2 + 1)·4·3."""
    space = SPACE | {"slope": conditional(choice([0.1, 0.3]), "act", "relu", "gelu")}
    del space["x"]
    assert enumerate_points(dimensions(space), 100).shape == (60, 4)
    assert enumerate_points(dimensions(space), 50) is None  # 72 before those are left out that are the same
    assert enumerate_points(dimensions(SPACE), 10**9) is None


def test_conditions_are_checked():
    with pytest.raises(ValueError, match=r"conditional\(values\) has 'elu', expected values of 'act'"):
        canonical(
            dimensions({"act": SPACE["act"], "a": conditional(uniform(0.0, 1.0), "act", "elu")}),
            np.ones((1, 2)),
        )

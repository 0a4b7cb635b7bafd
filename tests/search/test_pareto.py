"""Dominance, fronts, crowding and hypervolume against counting: whole numbers, where nothing is rounded."""

import itertools

import numpy as np
import pytest

from jaxopt_notes.search import crowding_distance, hypervolume, non_dominated_fronts

DRAW = np.random.default_rng(0)


def dominates(a, b, broken_a=0.0, broken_b=0.0):
    """Deb's rules, of one pair."""
    if broken_a > 0 or broken_b > 0:
        return max(broken_a, 0) < max(broken_b, 0)
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_fronts_are_what_peeling_leaves(m, constrained):
    costs = DRAW.integers(0, 6, (40, m)).astype(float)
    broken = DRAW.integers(-1, 3, 40) * float(constrained)
    left, want, number = set(range(40)), np.zeros(40, int), 0
    while left:
        first = {
            j for j in left if not any(dominates(costs[i], costs[j], broken[i], broken[j]) for i in left)
        }
        want[list(first)] = number
        left, number = left - first, number + 1
    found = non_dominated_fronts(costs, broken if constrained else None)
    np.testing.assert_array_equal(found, want)
    assert found.max() >= 2


def test_what_is_not_finite_comes_last_and_what_is_infeasible_before_it():
    costs = [[1, 1], [np.nan, 0], [2, 2], [0, np.inf], [0, 0]]
    assert non_dominated_fronts(costs).tolist() == [1, 3, 2, 3, 0]
    assert non_dominated_fronts(costs, [0, 0, 0, 0, np.inf]).tolist() == [0, 3, 1, 3, 2]
    assert non_dominated_fronts(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_the_hypervolume_is_the_number_of_cells_below(m):
    """A unit cell is covered where one of the points, whole numbers, is at or below its lower corner."""
    for n in (1, 3, 9):
        costs = DRAW.integers(0, 6, (n, m)).astype(float)
        cells = itertools.product(range(5), repeat=m)
        want = sum(any(all(p <= c) for p in costs) for c in cells)
        assert hypervolume(np.append(costs, [[np.nan] * m], axis=0), [5] * m) == want
        np.testing.assert_allclose(hypervolume(costs / 8 - 1, [5 / 8 - 1] * m), want / 8**m, rtol=1e-12)
    assert hypervolume(np.zeros((0, m)), [5] * m) == 0


def test_crowding_by_hand():
    costs = [[0, 10], [1, 7], [4, 6], [10, 0]]  # next neighbours: 4 − 0 of 10 and 10 − 6 of 10; 9 and 7
    np.testing.assert_allclose(crowding_distance(costs), [np.inf, 0.8, 1.6, np.inf])
    assert crowding_distance([[1, 2], [1, 2], [1, 2]]).tolist() == [np.inf, 0, np.inf]
    assert crowding_distance(np.zeros((0, 2))).shape == (0,)


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"hypervolume\(costs\) has shape \(3,\)"):
        hypervolume([1, 2, 3], [4])
    with pytest.raises(ValueError, match=r"hypervolume\(reference\) has shape \(2,\), expected \(3,\)"):
        hypervolume([[1, 2, 3]], [4, 4])

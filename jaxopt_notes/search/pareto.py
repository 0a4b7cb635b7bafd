"""Which of many compromises are worth having: dominance, fronts, crowding, and the volume a front covers.

With several objectives one point is better than another only if it is as good in all and better in one. The
points that none is better than are the Pareto front; without them the next front appears, and so on.
Constraints come before everything: a feasible point is better than any that is not, and of those the one
that breaks its constraints less (Deb's rules). All objectives are costs here; everything is NumPy.
"""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["crowding_distance", "hypervolume", "non_dominated_fronts"]


def dominates(costs: np.ndarray, violations: np.ndarray) -> np.ndarray:
    """Whether point i is better than point j, [n, n]: Deb's rules.

    Arguments:
        costs: [n, m], finite.
        violations: how far each is from being feasible [n], 0 where it is.
    """
    ours, theirs = costs[:, None], costs[None, :]
    better = np.all(ours <= theirs, axis=2) & np.any(ours < theirs, axis=2)
    feasible = violations <= 0
    both = feasible[:, None] & feasible[None, :]
    return np.where(both, better, np.maximum(violations, 0)[:, None] < np.maximum(violations, 0)[None, :])


def non_dominated_fronts(costs: ArrayLike, violations: ArrayLike | None = None) -> np.ndarray:
    """The number of the front that each point is on: 0 is the Pareto front.

        a ≺ b if aⱼ ≤ bⱼ for all j, and < for one;   front k: those that only points of fronts < k dominate

    Arguments:
        costs: [n, m], minimized. A point with a cost that is not finite is worse than any without.
        violations: how far each point is from being feasible [n], 0 where it is: a feasible point is better
            than any that is not, and of those the one with the lesser violation.

    Returns:
        Whole numbers [n].

    Raises:
        ValueError: costs that are no table.

    Example:
        >>> non_dominated_fronts([[1, 3], [2, 2], [3, 1], [3, 3], [2, 3]]).tolist()
        [0, 0, 0, 2, 1]
        >>> non_dominated_fronts([[1, 3], [2, 2], [3, 1]], violations=[0, 0.1, 0.2]).tolist()
        [0, 1, 2]

    Source: Deb, Pratap, Agarwal & Meyarivan 2002, sections III.A and VI (constraints).

    Elsewhere: pymoo's NonDominatedSorting; optuna's `study.best_trials` are the first front.
    """
    costs = _table("non_dominated_fronts", costs)
    broken = np.zeros(len(costs)) if violations is None else np.asarray(violations, float)
    lost = ~np.isfinite(costs).all(axis=1)
    better = dominates(np.where(lost[:, None], 0, costs), np.where(lost | np.isnan(broken), np.inf, broken))
    better |= ~lost[:, None] & lost[None, :]  # an infinite violation with known costs is still the better one
    fronts, left = np.full(len(costs), -1), np.ones(len(costs), bool)
    number = 0
    while left.any():
        first = left & ~np.any(better & left[:, None], axis=0)
        fronts[first], left = number, left & ~first
        number += 1
    return fronts


def crowding_distance(costs: ArrayLike) -> np.ndarray:
    """How much room points of one front have along it: the larger, the more would be lost without one.

        Σⱼ (next largerⱼ − next smallerⱼ)/(maxⱼ − minⱼ),   ∞ for the ends

    Arguments:
        costs: [n, m] of one front.

    Returns:
        Distances [n].

    Raises:
        ValueError: costs that are no table.

    Example:
        >>> crowding_distance([[0, 4], [1, 2], [2, 1], [4, 0]]).tolist()
        [inf, 1.25, 1.25, inf]

    Source: Deb, Pratap, Agarwal & Meyarivan 2002, section III.B.

    Elsewhere: optuna's NSGAIISampler and pymoo use the same; pymoo also offers others.
    """
    costs = _table("crowding_distance", costs)
    distance = np.zeros(len(costs))
    for column in costs.T:
        order = np.argsort(column, kind="stable")
        low, high = (column[order[0]], column[order[-1]]) if len(order) else (0, 0)
        distance[order[[0, -1]] if len(order) else order] = np.inf
        if high > low:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / (high - low)
    return distance


def hypervolume(costs: ArrayLike, reference: ArrayLike) -> float:
    """The volume of what a set of points is better than, up to a reference point: large is good.

        volume of ⋃ᵢ [costsᵢ₁, reference₁] × … × [costsᵢₘ, referenceₘ]

    Arguments:
        costs: [n, m], minimized. Points that are not better than the reference everywhere, or not finite,
            cover nothing.
        reference: [m], such as the worst value of each objective that anybody would accept.

    Returns:
        The volume, exact; its cost grows quickly with m, and is small up to five objectives.

    Raises:
        ValueError: costs that are no table, or a reference of another length.

    Example:
        >>> hypervolume([[1, 3], [2, 2], [3, 1]], reference=[4, 4])
        6.0

    Source: Zitzler & Thiele 1998; While, Bradstreet & Barone 2012 (WFG: the volume as a sum of what each
    point adds to those behind it).

    Elsewhere: pymoo's HV and BoTorch's Hypervolume, which maximizes.
    """
    costs, reference = _table("hypervolume", costs), np.asarray(reference, float)
    if reference.shape != costs.shape[1:]:
        raise ValueError(
            f"hypervolume(reference) has shape {reference.shape}, expected {costs.shape[1:]}: one number for "
            "each objective."
        )
    inside = np.all(np.isfinite(costs) & (costs < reference), axis=1)
    return _volume(costs[inside], reference)


def _volume(points: np.ndarray, reference: np.ndarray) -> float:
    """Of points that are all better than the reference."""
    if not len(points):
        return 0.0
    points = np.unique(points[non_dominated_fronts(points) == 0], axis=0)  # in the order of the first column
    if len(reference) == 1:
        return float(reference[0] - points[0, 0])
    if len(reference) == 2:  # steps of a staircase
        upper = np.append(reference[1], points[:-1, 1])
        return float(np.sum((reference[0] - points[:, 0]) * (upper - points[:, 1])))
    total = 0.0
    for i, point in enumerate(points):  # its box, without what the points behind it cover of that
        total += float(np.prod(reference - point)) - _volume(np.maximum(points[i + 1 :], point), reference)
    return total


def _table(where: str, costs: ArrayLike) -> np.ndarray:
    found = np.asarray(costs, float)
    if found.ndim != 2:
        raise ValueError(f"{where}(costs) has shape {found.shape}, expected [points, objectives].")
    return found

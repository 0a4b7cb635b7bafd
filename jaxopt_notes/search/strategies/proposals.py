"""Where a surrogate model is asked: candidates in the unit cube, and the climb from the best of them.

An acquisition function has many hills, most of them narrow and near the best configuration so far. So half
of the candidates are scattered over the whole cube and half about that configuration, at distances of
every order of magnitude; a quasi-Newton method then climbs from the few that promise most.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxopt_notes.search.spaces.space import Configs
from jaxopt_notes.search.spaces.unit_cube import as_points
from jaxopt_notes.search.surrogates.encoding import Axes, canonical, is_ordered

NEAREST = 1e-6  # of the unit cube: points nearer than that are one configuration


def scatter(rng: np.random.Generator, n: int, axes: Axes, center: np.ndarray) -> np.ndarray:
    """n candidates [n, d] in the unit cube: half of them anywhere, half about `center` [d].

    About the center a coordinate moves by 10^U(−3, −0.5) standard deviations of 1, and stays with
    probability ½ unless it is the only one; a choice without order moves to any value.
    """
    points = rng.random((n, len(axes)))
    distance = 10 ** rng.uniform(-3, -0.5, (n, 1))
    near = center + distance * rng.normal(size=points.shape)
    ordered = np.array([is_ordered(axis) for axis in axes.values()], bool)
    near = np.where(ordered, np.clip(near, 0, 1), points)
    stays = rng.random(points.shape) < (0.5 if len(axes) > 1 else 0.0)
    near = np.where(stays, center, near)
    return np.where((np.arange(n) % 2 == 0)[:, None], points, near)


def climb(value_and_slope: Callable, points: np.ndarray, free: np.ndarray, steps: int = 12) -> np.ndarray:
    """From each point [n, d] a higher one in the unit cube, by L-BFGS-B on all of them together.

    Arguments:
        value_and_slope: of points [n, d]: values [n] and slopes [n, d].
        points: where to start.
        free: which coordinates may move [d].
        steps: evaluations at most, about.
    """
    from scipy.optimize import minimize  # which jax needs, too; it is slow to import

    def loss(u: np.ndarray) -> tuple[float, np.ndarray]:
        here = points.copy()
        here[:, free] = u.reshape(len(points), -1)
        value, slope = value_and_slope(here)
        return -float(np.sum(value)), -np.where(np.isfinite(slope), slope, 0)[:, free].reshape(-1)

    start = points[:, free].reshape(-1)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(start),
        options={"maxfun": steps, "maxiter": steps},
    )  # fmt: skip
    top = points.copy()
    top[:, free] = np.where(np.isfinite(found.x), found.x, start).reshape(len(points), -1)
    return top


def put_configs(state: Any, configs: Configs, places: np.ndarray) -> np.ndarray:
    """The points of a state with those of a batch just asked for replaced by these configurations.

    Arguments:
        state: has `dimensions`, `points` [n, d], and `asked`.
        configs: of the last batch.
        places: where in it they differ from what was proposed.
    """
    points, encoded = (
        np.array(state.points),
        canonical(state.dimensions, as_points(state.dimensions, configs)),
    )
    points[int(state.asked) - len(encoded) + places] = encoded[places]
    return points


def is_new(points: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Which points [n, d] coincide with no row of `taken` [m, d]."""
    if not points.shape[1]:
        return np.full(len(points), not len(taken))
    here, there = np.nonzero(np.abs(points[:, None, 0] - taken[None, :, 0]) < NEAREST)  # few pairs are left
    same = np.all(np.abs(points[here] - taken[there]) < NEAREST, axis=1)
    new = np.ones(len(points), bool)
    new[here[same]] = False
    return new


def distinct(points: np.ndarray, n: int) -> np.ndarray:
    """The first n of the points [m, d] that coincide with none before them; the others after those."""
    new = np.array([is_new(points[i : i + 1], points[:i])[0] for i in range(len(points))])
    return points[np.argsort(~new, kind="stable")[:n]]

"""How configurations look to a surrogate model: points of the unit cube, made canonical, as features.

A whole number is piecewise constant along its axis, so its coordinate is moved to the middle of its
piece: points that are one configuration are then one point. The features are what distances are measured
between. An ordered axis is one feature, its coordinate. A choice without order is a corner of a simplex,
all values equally far apart. A conditional hyperparameter is a point on a quarter circle, and its
centre where it is inactive, so that the distance to an inactive one does not depend on a value that has no
meaning there.
"""

import itertools
import math

import numpy as np

from jaxopt_notes.search.spaces.choices import Choice, StaticChoice
from jaxopt_notes.search.spaces.conditional import Conditional
from jaxopt_notes.search.spaces.distributions import Distribution, Integers

Axes = dict[str, Distribution]


def canonical(axes: Axes, points: np.ndarray) -> np.ndarray:
    """Points [n, d] with every coordinate in the middle of its value, and those inactive at the median."""
    columns = [
        _snap(axis, np.where(is_active(axes, name, points), points[:, i], 0.5))
        for i, (name, axis) in enumerate(axes.items())
    ]
    return np.stack(columns, axis=1) if columns else points


def features(axes: Axes, points: np.ndarray) -> np.ndarray:
    """What a kernel sees of canonical points [n, d]: columns [n, D]."""
    columns = []
    for i, (name, axis) in enumerate(axes.items()):
        u = points[:, i]
        if isinstance(axis, Conditional):
            active = is_active(axes, name, points)
            angle = u * (math.pi / 2)
            columns += [np.where(active, np.cos(angle), 0), np.where(active, np.sin(angle), 0)]
        elif is_ordered(axis):
            columns.append(u)
        else:
            size = len(axis.values)  # type: ignore[attr-defined]
            columns += list((position(u, size) == np.arange(size)[:, None]) / math.sqrt(2))
    return np.stack(columns, axis=1) if columns else points


def features_slope(axes: Axes, points: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Derivatives by the coordinates [n, d] from those by the features [n, D]; 0 where there is no order."""
    columns, first = [], 0
    for i, (name, axis) in enumerate(axes.items()):
        if isinstance(axis, Conditional):
            active, angle = is_active(axes, name, points), points[:, i] * (math.pi / 2)
            turn = np.cos(angle) * slope[:, first + 1] - np.sin(angle) * slope[:, first]
            columns.append(np.where(active, turn * (math.pi / 2), 0))
        elif is_ordered(axis):
            columns.append(slope[:, first])
        else:
            columns.append(np.zeros(len(points)))
        first += _width(axis)
    return np.stack(columns, axis=1) if columns else points


def feature_groups(axes: Axes) -> tuple[int, ...]:
    """For each feature the number of its axis."""
    return tuple(i for i, axis in enumerate(axes.values()) for _ in range(_width(axis)))


def _width(axis: Distribution) -> int:
    """How many features the axis has."""
    if isinstance(axis, Conditional):
        return 2
    return 1 if is_ordered(axis) else len(axis.values)  # type: ignore[attr-defined]


def is_ordered(axis: Distribution) -> bool:
    """Whether neighbours along the axis are alike: not so for a static choice, unless of numbers in order."""
    if not isinstance(axis, StaticChoice):
        return True
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis.values):
        return False
    return axis.values in (tuple(sorted(axis.values)), tuple(sorted(axis.values, reverse=True)))


def is_continuous(axis: Distribution) -> bool:
    """Whether the axis is a continuum."""
    return not isinstance(_inner(axis), Choice | StaticChoice | Integers)


def is_active(axes: Axes, name: str, points: np.ndarray) -> np.ndarray:
    """At which points [n, d] a hyperparameter means something: always, unless it is conditional."""
    axis, everywhere = axes[name], np.ones(len(points), bool)
    if not isinstance(axis, Conditional):
        return everywhere
    if axis.on not in axes:
        raise ValueError(f"{name} is conditional on {axis.on!r}, expected one of {', '.join(axes)}.")
    on = axes[axis.on]
    if (size := levels(on)) is None:
        raise ValueError(
            f"{name} is conditional on {axis.on!r}, expected a choice or integers: it has no values."
        )
    met = axis.is_met(on, _values(on))[position(points[:, list(axes).index(axis.on)], size)]
    return is_active(axes, axis.on, points) & met


def enumerate_points(axes: Axes, most: int) -> np.ndarray | None:
    """All canonical points of a space that has at most `most`, else None."""
    sizes = [size for axis in axes.values() if (size := levels(axis)) is not None]
    if len(sizes) < len(axes) or math.prod(sizes) > most:
        return None
    grids = [(np.arange(size) + 0.5) / size for size in sizes]
    points = np.array(list(itertools.product(*grids))).reshape(-1, len(axes))
    return np.unique(canonical(axes, points), axis=0)


def levels(axis: Distribution) -> int | None:
    """How many values the axis has; None for a continuum."""
    axis = _inner(axis)
    if isinstance(axis, Choice | StaticChoice):
        return len(axis.values)
    return int(axis.high) - int(axis.low) if isinstance(axis, Integers) else None


def position(u: np.ndarray, size: int) -> np.ndarray:
    """Which of `size` equal pieces of [0, 1] a coordinate lies in."""
    return np.minimum(u * size, size - 1).astype(int)


def _values(axis: Distribution) -> np.ndarray:
    """The values of an axis that has a number of them; of a static choice their positions."""
    axis = _inner(axis)
    if isinstance(axis, Choice):
        return np.asarray(axis.values)
    return np.arange(levels(axis) or 0) + (int(axis.low) if isinstance(axis, Integers) else 0)


def _snap(axis: Distribution, u: np.ndarray) -> np.ndarray:
    size = levels(axis)
    return u if size is None else (position(u, size) + 0.5) / size


def _inner(axis: Distribution) -> Distribution:
    return axis.distribution if isinstance(axis, Conditional) else axis

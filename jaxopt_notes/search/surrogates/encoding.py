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
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import concrete
from jaxopt_notes.search.spaces.choices import Choice, StaticChoice
from jaxopt_notes.search.spaces.conditional import Conditional
from jaxopt_notes.search.spaces.distributions import Distribution, Integers

Axes = dict[str, Distribution]


def canonical(axes: Axes, points: jax.Array) -> jax.Array:
    """Points [n, d] with every coordinate in the middle of its value, and those inactive at the median."""
    columns: dict[str, jax.Array] = {}
    for i, (name, axis) in enumerate(axes.items()):
        active = is_active(axes, name, points)
        columns[name] = _snap(axis, jnp.where(active, points[:, i], 0.5))
    return jnp.stack(list(columns.values()), axis=1) if columns else points


def features(axes: Axes, points: jax.Array) -> jax.Array:
    """What a kernel sees of canonical points [n, d]: columns [n, D]."""
    columns = []
    for i, (name, axis) in enumerate(axes.items()):
        u = points[:, i]
        if isinstance(axis, Conditional):
            active = is_active(axes, name, points)
            angle = u * (math.pi / 2)
            columns += [jnp.where(active, jnp.cos(angle), 0), jnp.where(active, jnp.sin(angle), 0)]
        elif is_ordered(axis):
            columns.append(u)
        else:
            size = len(axis.values)  # type: ignore[attr-defined]
            corner = jax.nn.one_hot(jnp.floor(u * size).astype(int), size, dtype=u.dtype) / math.sqrt(2)
            columns += list(corner.T)
    return jnp.stack(columns, axis=1) if columns else points


def feature_groups(axes: Axes) -> tuple[int, ...]:
    """For each feature the number of its axis."""
    widths = [
        2 if isinstance(a, Conditional) else 1 if is_ordered(a) else len(a.values)  # type: ignore[attr-defined]
        for a in axes.values()
    ]
    return tuple(i for i, width in enumerate(widths) for _ in range(width))


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


def is_active(axes: Axes, name: str, points: jax.Array) -> jax.Array:
    """At which points [n, d] a hyperparameter means something: always, unless it is conditional."""
    axis, everywhere = axes[name], jnp.ones(len(points), bool)
    if not isinstance(axis, Conditional):
        return everywhere
    if axis.on not in axes:
        raise ValueError(f"{name} is conditional on {axis.on!r}, expected one of {', '.join(axes)}.")
    value = axes[axis.on].from_unit(points[:, list(axes).index(axis.on)])
    return is_active(axes, axis.on, points) & axis.is_met(axes[axis.on], value)


def enumerate_points(axes: Axes, most: int) -> jax.Array | None:
    """All canonical points of a space that has at most `most`, else None."""
    found = [concrete(levels(axis)) for axis in axes.values()]
    sizes = [int(size) for size in found if size is not None]
    if len(sizes) < len(found) or math.prod(sizes) > most:
        return None
    grids = [(np.arange(size) + 0.5) / size for size in sizes]
    points = jnp.asarray(list(itertools.product(*grids)), jnp.result_type(float)).reshape(-1, len(axes))
    return jnp.asarray(np.unique(np.asarray(canonical(axes, points)), axis=0))


def levels(axis: Distribution) -> Any:
    """How many values the axis has; None for a continuum."""
    axis = _inner(axis)
    if isinstance(axis, Choice | StaticChoice):
        return len(axis.values)
    return jnp.asarray(axis.high, int) - jnp.asarray(axis.low, int) if isinstance(axis, Integers) else None


def _snap(axis: Distribution, u: jax.Array) -> jax.Array:
    if (size := levels(axis)) is None:
        return u
    size = jnp.asarray(size, u.dtype)
    return (jnp.minimum(jnp.floor(u * size), size - 1) + 0.5) / size


def _inner(axis: Distribution) -> Distribution:
    return axis.distribution if isinstance(axis, Conditional) else axis

"""The unit cube, where strategies that move points work: one axis for each searched hyperparameter.

Every distribution maps [0, 1] to its values, so steps of one size are equally bold in all of them:
0.1 is a tenth of the range, or of the decades of a logarithmic one.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs


def as_configs(axes: dict[str, Distribution], points: jax.Array) -> Configs:
    """Points of the unit cube [n, dimensions] as columns of values, in the order of the names."""
    return {name: axis.from_unit(points[:, i]) for i, (name, axis) in enumerate(axes.items())}


def reflect(x: jax.Array) -> jax.Array:
    """Any numbers folded into [0, 1], as light between two mirrors.

    Steps keep their length but where they meet a wall, and no point is drawn to the walls, as it would
    be by clipping.

    Example:
        >>> reflect(jnp.array([-0.25, 0.5, 1.25, 2.25]))
        Array([0.25, 0.5 , 0.75, 0.25], dtype=float32)
    """
    return 1 - jnp.abs(jnp.mod(x, 2) - 1)

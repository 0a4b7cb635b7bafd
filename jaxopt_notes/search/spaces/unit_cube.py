"""The unit cube, where strategies that move points work: one axis for each searched hyperparameter.

Every distribution maps [0, 1] to its values, so steps of one size are equally bold in all of them:
0.1 is a tenth of the range, or of the decades of a logarithmic one.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs


def as_configs(axes: dict[str, Distribution], points: jax.Array) -> Configs:
    """Points of the unit cube [n, dimensions] as columns of values, in the order of the names."""
    return dict(zip(axes, _values(list(axes.values()), points), strict=True))


@jax.jit  # one program, where each of its operations would be one
def _values(axes: list[Distribution], points: jax.Array) -> list[jax.Array]:
    return [axis.from_unit(points[:, i]) for i, axis in enumerate(axes)]


def as_points(axes: dict[str, Distribution], configs: Configs) -> np.ndarray:
    """Columns of values as points of the unit cube [n, dimensions]: what `as_configs` makes them of.

    Example:
        >>> from jaxopt_notes.search import choice, log_uniform
        >>> axes = {"rate": log_uniform(1e-4, 1.0), "width": choice([32, 64])}
        >>> as_points(axes, {"rate": np.array([0.01, 1.0]), "width": np.array([64, 32])}).tolist()
        [[0.5, 0.75], [1.0, 0.25]]
    """
    columns = [axis.to_unit(np.asarray(configs[name])) for name, axis in axes.items()]
    return np.stack(columns, axis=1) if columns else np.zeros((1, 0))


def reflect(x: jax.Array) -> jax.Array:
    """Any numbers folded into [0, 1], as light between two mirrors.

    Steps keep their length but where they meet a wall, and no point is drawn to the walls, as it would
    be by clipping.

    Example:
        >>> reflect(jnp.array([-0.25, 0.5, 1.25, 2.25]))
        Array([0.25, 0.5 , 0.75, 0.25], dtype=float32)
    """
    return 1 - jnp.abs(jnp.mod(x, 2) - 1)

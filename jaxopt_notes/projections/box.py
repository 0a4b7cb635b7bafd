"""Boxes: every number between two bounds; without the upper one, what is not negative."""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.projections.elements import check_real, each
from jaxopt_notes.record import Number, check_number

__all__ = ["project_box", "project_non_negative"]


def project_box(tree: Tree, lower: Number, upper: Number) -> Tree:
    """The nearest point with every number between two bounds.

        x ← min(max(x, lower), upper)

    Arguments:
        tree: real numbers.
        lower, upper: the bounds; `-inf` and `inf` are none.

    Raises:
        TypeError: complex numbers, or bounds that are not numbers.

    Example:
        >>> project_box(jnp.array([3.0, -0.5]), 0.0, jnp.inf)
        Array([3., 0.], dtype=float32)

    Elsewhere: `optax.projections.projection_box`; the example is `project_non_negative`.
    """
    check_real("project_box", tree)
    lower = check_number("project_box(lower)", lower, "[-inf, inf]")
    upper = check_number("project_box(upper)", upper, "[-inf, inf]")

    def inside(x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        x = jnp.where(x < low, low, x)  # not jnp.maximum, whose gradient on the wall is a half
        return jnp.where(x > high, high, x)

    return each(inside, tree, lower, upper)


def project_non_negative(tree: Tree) -> Tree:
    """The nearest point without a negative number.

        x ← max(x, 0)

    Arguments:
        tree: real numbers.

    Raises:
        TypeError: complex numbers.

    Example:
        >>> project_non_negative(jnp.array([3.0, -0.5]))
        Array([3., 0.], dtype=float32)

    Elsewhere: `optax.projections.projection_non_negative`; Keras' `NonNeg` constraint.
    """
    check_real("project_non_negative", tree)
    return project_box(tree, 0.0, jnp.inf)

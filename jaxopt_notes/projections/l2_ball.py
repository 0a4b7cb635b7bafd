"""Euclidean balls: of all numbers together, or for the incoming weights of every unit."""

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.norms import global_norm, norm_over
from jaxopt_notes.projections.elements import each, shortened
from jaxopt_notes.record import Number, check_number

__all__ = ["project_l2_ball", "project_max_norm"]


def project_l2_ball(tree: Tree, radius: Number = 1.0) -> Tree:
    """The nearest point of a Euclidean norm of at most r: a hard constraint instead of an L2 penalty.

        x ← x·min(1, r/‖x‖₂)

    Arguments:
        radius: r ≥ 0. A constraint on the square, ‖x‖² ≤ θ, is r = √θ.

    Example:
        >>> import jax.numpy as jnp
        >>> print(project_l2_ball(jnp.array([3.0, 4.0]), 1.0))
        [0.6 0.8]

    Elsewhere: `optax.projections.projection_l2_ball`, where r is called `scale`.
    """
    check_number("project_l2_ball(radius)", radius, "[0, inf)")
    return each(shortened, tree, global_norm(tree), radius)


def project_max_norm(tree: Tree, max_norm: Number = 3.0) -> Tree:
    """Max-norm: the incoming weights of every unit are brought back to a norm of at most c.

        w ← w·min(1, c/‖w‖₂)          for every column w of a kernel [..., units]

    Arguments:
        tree: leaves of rank < 2 (biases) stay as they are.
        max_norm: c ≥ 0; 3 to 4 is usual with dropout.

    Example:
        >>> import jax.numpy as jnp
        >>> print(project_max_norm(jnp.array([[3.0, 0.1], [4.0, 0.1]]), 1.0))
        [[0.6 0.1]
         [0.8 0.1]]

    Source: Srivastava et al. 2014, section 5.1.
    Elsewhere: Keras' `MaxNorm` constraint.
    """
    check_number("project_max_norm(max_norm)", max_norm, "[0, inf)")

    def columns(x: jax.Array, c: jax.Array) -> jax.Array:
        return x if x.ndim < 2 else shortened(x, norm_over(x, tuple(range(x.ndim - 1))), c)

    return each(columns, tree, max_norm)

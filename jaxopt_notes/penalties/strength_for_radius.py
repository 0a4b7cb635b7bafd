"""The hard constraint and the soft one: the strength λ of a penalty whose minimum lies on a given ball.

For a convex loss every radius has such a λ, the Lagrange multiplier of the constraint, and 0 where the
constraint is not active. The norm of the penalised minimum falls as λ grows, so bisection finds it. For a
loss that is not convex the norm may jump, and radii between have no λ: bisection then ends at the jump.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.norms import global_norm
from jaxopt_notes.record import Number, check_count, check_number

__all__ = ["strength_for_radius"]


def strength_for_radius(
    solve: Callable[[jax.Array], Tree],
    radius: Number,
    *,
    norm: Callable[[Tree], jax.Array] = global_norm,
    largest: Number = 1e6,
    steps: int = 60,
) -> jax.Array:
    """The strength of a penalty whose minimum is that of the constraint ‖w‖ ≤ r.

        λ ≥ 0 with ‖w(λ)‖ = r,   w(λ) = argmin J(w) + λ·Ω(w);          0 if ‖w(0)‖ ≤ r

    Arguments:
        solve: from λ to w(λ), the minimum of the penalised loss, in closed form or by training.
        radius: r > 0. A constraint ‖w‖² ≤ θ is r = √θ.
        norm: what is bounded; it must not grow with λ. `l1_norm` for the lasso and the L1 ball.
        largest: where the search ends, if the norm is never as small.
        steps: bisections, static: each halves the interval.

    Returns:
        λ, float32 (float64 under x64). It works under `jit`, and `vmap` over radii.

    Raises:
        ValueError: a number outside its interval.

    Example:
        >>> ridge = lambda strength: jnp.array([4.0]) / (1 + strength)  # of ½(w − 4)² + ½λw²
        >>> print(strength_for_radius(ridge, 1.0).round(4), strength_for_radius(ridge, 5.0))
        3.0 0.0

    Source: Boyd & Vandenberghe 2004, section 5.5.3; Goodfellow, Bengio & Courville 2016, section 7.2. The
    study notes give every radius a λ, which is true for convex losses only.
    """
    radius = as_hyperparameter(check_number("strength_for_radius(radius)", radius, "(0, inf)"))
    largest = as_hyperparameter(check_number("strength_for_radius(largest)", largest, "(0, inf)"))
    steps = check_count("strength_for_radius(steps)", steps, 1)

    def outside(strength: jax.Array) -> jax.Array:
        return as_hyperparameter(norm(solve(strength))) > radius

    def double(strength: jax.Array) -> jax.Array:
        return 2 * strength

    def grows(strength: jax.Array) -> jax.Array:
        return outside(strength) & (strength < largest)

    def halve(_: Any, interval: tuple) -> tuple:
        low, high = interval
        middle = (low + high) / 2
        above = outside(middle)
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    zero = jnp.zeros_like(radius)
    high = lax.while_loop(grows, double, jnp.ones_like(radius))
    _, found = lax.fori_loop(0, steps, halve, (zero, high))
    return jnp.where(outside(zero), found, zero)

"""Polyak's step size: as far as the loss is above its minimum, over the slope.

If the loss went on falling as steeply as it does here, the step would end at its minimum f*. For a convex
loss it ends nearer to the solution than it began. Where a model can fit its data, f* is 0 for every
mini-batch, and nothing is left to be tuned.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment, leafwise
from jaxopt_notes.optimizers.core.trainable import moving, objective
from jaxopt_notes.optimizers.sgd import SGDState, sgd_step
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


@record
class PolyakSGD(Transform):
    """See `polyak_sgd`."""

    max_learning_rate: Rate
    scaling: Rate
    f_min: Number
    eps: Number
    variant: str = static()

    def init(self, params: Tree) -> SGDState:
        return SGDState(first_step())

    def update(
        self,
        updates: Tree,
        state: SGDState,
        params: Tree = None,
        *,
        value: ArrayLike | None = None,
        value_fn: Callable | None = None,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, SGDState]:
        if value is None:
            value = _value_here(updates, params, value_fn, extra)
        gap = as_hyperparameter(value) - as_hyperparameter(self.f_min)
        if self.variant == "sps+":
            gap = jnp.maximum(gap, 0)
        norm = as_hyperparameter(global_norm(updates))
        length = jnp.minimum(polyak_step(gap, norm, self.eps), rate_at(self.max_learning_rate, state.count))
        rate = jnp.where(norm > 0, rate_at(self.scaling, state.count) * length, 0)
        (updates,) = leafwise(sgd_step, updates, params, rate=rate, accept=accept)
        return updates, SGDState(increment(state.count, accept))


def _value_here(updates: Tree, params: Tree, value_fn: Callable | None, extra: dict) -> Any:
    if value_fn is None or params is None:
        raise ValueError(
            "polyak_sgd needs value, the loss at the parameters, but it is None: call "
            "update(grads, state, params, value=loss)."
        )
    loss = objective("polyak_sgd", "value_fn", value_fn, params, lambda x: x, extra)
    return loss(moving(updates, params)[1])


def polyak_step(gap: Number, norm: Number, eps: Number = 0.0) -> jax.Array:
    """(f − f*)/(‖g‖² + eps), and 0 where the gradient is 0; ‖g‖² may be too large or too small to be one.

    Example:
        >>> print(polyak_step(gap=2.0, norm=4.0), polyak_step(gap=2e25, norm=1e25))
        0.125 2e-25
    """
    gap, norm, eps = map(as_hyperparameter, (gap, norm, eps))
    safe = jnp.where(norm > 0, norm, 1)
    return jnp.where(norm > 0, gap / safe / (safe + eps / safe), 0)


def polyak_sgd(
    max_learning_rate: Rate = 1.0,
    scaling: Rate = 1.0,
    f_min: Number = 0.0,
    eps: Number = 0.0,
    variant: str = "sps",
) -> PolyakSGD:
    """Gradient descent with Polyak's step size.

        θ ← θ − s·min((L(θ) − f*)/(‖g‖² + eps), γ)·g

    Arguments:
        max_learning_rate: γ ≥ 0, a number or a schedule; `inf` for Polyak's own rule.
        scaling: s ≥ 0, a number or a schedule. Below 2 a step leads nearer to the solution of a convex loss;
            2 is the exact step for a round parabola.
        f_min: f*, the least value of the loss, or a lower bound; 0 where a model can fit its data.
        eps: ≥ 0, added to the square of the norm.
        variant: "sps"; or "sps+", for which the loss below f* gives no step instead of one upwards.

    Returns:
        A `PolyakSGD` record; its state is the step number alone. `update` needs `value=`, the loss at
        the parameters (or `value_fn=`, the loss itself, and `params`), and the norm is that of all leaves.
        With no slope there is no step.

    Raises:
        ValueError: a number outside its interval, another variant, or `update` without the loss.

    Example:
        >>> optimizer, x = polyak_sgd(), jnp.array([1.0, 2.0, 3.0])
        >>> state = optimizer.init(x)
        >>> for _ in range(3):
        ...     value, grads = jnp.sum(x**2), 2 * x
        ...     updates, state = optimizer.update(grads, state, x, value=value)
        ...     x = x + updates
        ...     print(f"{jnp.sum(x**2):.3f}")
        3.500
        0.875
        0.219

    Source: Polyak 1987, section 5.3.2; Loizou et al. 2021, equation 3 (s = 1/c); Garrigos et al. 2023
    ("sps+").

    Elsewhere: `optax.polyak_sgd` has the same arguments, and is the same at s = 1. For other s its docstring
    has our formula, but its code takes the norm of s·g: that is ours with 1/s, s²·γ and eps/s². It makes no
    step where ‖g‖² + eps is below the machine's ε, and overflows at norms above 1e19. torch has none.
    """
    return PolyakSGD(
        max_learning_rate=check_rate("polyak_sgd(max_learning_rate)", max_learning_rate, "[0, inf]"),
        scaling=check_rate("polyak_sgd(scaling)", scaling),
        f_min=check_number("polyak_sgd(f_min)", f_min),
        eps=check_number("polyak_sgd(eps)", eps, "[0, inf)"),
        variant=check_choice("polyak_sgd(variant)", variant, ("sps", "sps+")),
    )

"""Optimistic gradient descent: a step along the gradient that is expected next.

In a game, where one player's gradient turns as the other moves, plain descent circles around the solution
or runs away from it. The gradient of the next step, guessed as g + (g − g₋₁), leads inwards. It costs one
gradient a step, where the extragradient method, which it imitates, costs two.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, zeros_like
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    store_always,
)
from jaxopt_notes.record import record
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class OptimisticGradientState(NamedTuple):
    """Steps made, and the last gradient."""

    count: jax.Array
    previous: Tree


@record
class OptimisticGradient(Transform):
    """See `optimistic_gradient`."""

    learning_rate: Rate
    alpha: Rate
    beta: Rate

    def init(self, params: Tree) -> OptimisticGradientState:
        return OptimisticGradientState(first_step(), zeros_like(params))

    def update(
        self,
        updates: Tree,
        state: OptimisticGradientState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, OptimisticGradientState]:
        updates, previous = leafwise(
            optimistic_step, updates, params, state.previous,
            accept=accept, rate=rate_at(self.learning_rate, state.count),
            alpha=rate_at(self.alpha, state.count),
            beta=jnp.where(state.count > 0, rate_at(self.beta, state.count), 0),
        )  # fmt: skip
        return updates, OptimisticGradientState(increment(state.count, accept), previous)


def optimistic_step(g, p, previous, *, rate, alpha, beta, store=store_always):
    """The update of one leaf, and its gradient for the next step; `beta` is 0 at the first."""
    step = -rate * (alpha * g + beta * (g - previous))
    # Made from the new parameters too, the slot is written after they have read it: XLA's CPU backend would
    # copy it else. Where they are NaN, so is it.
    kept = g if p is None else jnp.where(jnp.isnan(p + step), jnp.nan, g)
    return step, store(previous, kept)


def optimistic_gradient(
    learning_rate: Rate = 1e-2, alpha: Rate = 1.0, beta: Rate = 1.0
) -> OptimisticGradient:
    """Optimistic gradient descent.

        θ ← θ − η·(α·g + β·(g − g₋₁))                  (g₋₁ = g at the first step)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule. In a bilinear game ⟨x, A·y⟩ it converges for
            η < 1/(√3·‖A‖) (α = β = 1), and gradient descent for no rate.
        alpha: α ≥ 0, a number or a schedule: the weight of the gradient.
        beta: β ≥ 0, a number or a schedule: how far its change is continued; 0 is `sgd`.

    Returns:
        An `OptimisticGradient` record. Its state holds the last gradient in at least float32.

    Raises:
        ValueError: a negative number.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = optimistic_gradient(learning_rate=0.3)
        >>> point = jnp.array([1.0, 0.0])  # of x and y in the game min over x, max over y of x·y
        >>> state = optimizer.init(point)
        >>> for _ in range(200):
        ...     updates, state = optimizer.update(jnp.array([point[1], -point[0]]), state)
        ...     point = point + updates
        >>> print(f"{jnp.linalg.norm(point):.4f}")
        0.0000

    Source: Popov 1980; Daskalakis et al. 2018; Mokhtari et al. 2020, "A unified analysis of
    extra-gradient and optimistic gradient methods", equation 9 and section 5.2 (α ≠ β).

    Elsewhere: `optax.optimistic_gradient_descent`, the same for numbers (it calls no schedules for α and β),
    without a default rate. torch has none.
    """
    return OptimisticGradient(
        learning_rate=check_rate("optimistic_gradient(learning_rate)", learning_rate),
        alpha=check_rate("optimistic_gradient(alpha)", alpha),
        beta=check_rate("optimistic_gradient(beta)", beta, remedy="0 is sgd"),
    )

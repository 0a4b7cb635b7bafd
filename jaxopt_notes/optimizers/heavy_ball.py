"""Polyak's heavy ball: momentum written with two iterates instead of a velocity."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.optimizers.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at
from jaxopt_notes.trees import Tree, compute_dtype, is_float


class HeavyBallState(NamedTuple):
    """Steps made, and the parameters before the last step."""

    count: jax.Array
    previous: Tree


@record
class HeavyBall(Transform):
    """See `heavy_ball`."""

    learning_rate: Rate
    momentum: Number

    def init(self, params: Tree) -> HeavyBallState:
        return HeavyBallState(first_step(), iterate_like(params))

    def update(
        self, updates: Tree, state: HeavyBallState, params: Tree = None, *, accept: Any = None, **extra: Any
    ) -> tuple[Tree, HeavyBallState]:
        updates, previous = leafwise(
            heavy_ball_step, updates, require_params("heavy_ball", params), state.previous,
            accept=accept, rate=rate_at(self.learning_rate, state.count), momentum=self.momentum,
        )  # fmt: skip
        return updates, HeavyBallState(increment(state.count, accept), previous)


def iterate_like(params: Tree) -> Tree:
    """A copy of the parameters as a state: in at least float32, `None` where no leaf moves."""
    return jax.tree.map(lambda p: jnp.array(p, compute_dtype(p)) if is_float(p) else None, params)


def heavy_ball_step(g, p, previous, *, rate, momentum, store=store_always):
    """The update of one leaf, and the parameter it was made from: −ηg + β(x − x₋₁)."""
    return -rate * g + momentum * (p - previous), store(previous, p)


def heavy_ball(learning_rate: Rate = 1e-2, momentum: Number = 0.9) -> HeavyBall:
    """Polyak's heavy ball method.

        x₊ = x − η·∇f(x) + β·(x − x₋₁),  x₋₁ = x at the start

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        momentum: β in [0, 1].

    Returns:
        A `HeavyBall` record. Its state holds the previous parameters; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.

    Example:
        >>> optimizer = heavy_ball(learning_rate=0.1, momentum=0.5)
        >>> x = jnp.array(1.0)
        >>> state = optimizer.init(x)
        >>> for _ in range(2):
        ...     update, state = optimizer.update(x, state, x)
        ...     x = x + update
        >>> print(f"{x:.3f}")
        0.760

    Source: Polyak 1964; rows S3-19, S3-20 of the notes. Guaranteed to converge on quadratics; with
    Polyak's tuning it can cycle on other strongly convex functions (Lessard et al. 2016).

    Elsewhere: at a constant rate it is `momentum`; under a schedule it is `momentum` with the rate
    inside. optax and torch have no form of their own.
    """
    return HeavyBall(
        check_rate("heavy_ball(learning_rate)", learning_rate),
        check_number("heavy_ball(momentum)", momentum, "[0, 1]", "the usual value is 0.9"),
    )

"""Momentum: the step remembers the steps before it.

Two placements of the rate are in use. With the rate inside, the velocity is in units of parameters
and a change of rate acts on new gradients only; with the rate outside, it rescales the whole past.
They agree while the rate is constant.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class MomentumState(NamedTuple):
    """Steps made, and the velocity."""

    count: jax.Array
    velocity: Tree


@record
class Momentum(Transform):
    """See `momentum`."""

    elementwise = True

    learning_rate: Rate
    momentum: Number
    rate_outside: bool = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> MomentumState:
        return MomentumState(first_step(), *moments(params, (1,), self.state_dtype))

    def update(
        self, updates: Tree, state: MomentumState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, MomentumState]:
        rate = rate_at(self.learning_rate, state.count)
        updates, velocity = leafwise(
            self._formula(), updates, params, state.velocity, rate=rate, momentum=self.momentum, accept=accept
        )
        return updates, MomentumState(increment(state.count, accept), velocity)

    def _formula(self) -> Callable[..., Any]:
        return momentum_step_rate_outside if self.rate_outside else momentum_step


def momentum_step(g, p, v, *, rate, momentum, store=store_always):
    """The update and the velocity of one leaf: v ← αv + ηg, θ ← θ − v."""
    v = store(v, momentum * v + rate * g)
    return -v, v


def momentum_step_rate_outside(g, p, v, *, rate, momentum, store=store_always):
    """The update and the velocity of one leaf: v ← αv + g, θ ← θ − ηv."""
    v = store(v, momentum * v + g)
    return -rate * v, v


def momentum(
    learning_rate: Rate = 1e-2,
    momentum: Number = 0.9,
    *,
    rate_outside: bool = False,
    state_dtype: DTypeLike | None = None,
) -> Momentum:
    """Gradient descent with momentum.

        v ← α·v + η·g
        θ ← θ − v

    and with `rate_outside=True`: v ← α·v + g, θ ← θ − η·v.

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        momentum: α in [0, 1]. A constant gradient is amplified to η·g/(1 − α), an alternating one
            damped to η·g/(1 + α).
        rate_outside: where the rate stands; the two differ only while the rate changes.
        state_dtype: precision of the velocity, as in `adam`.

    Returns:
        A `Momentum` record. Its state holds one velocity of the parameters' shapes.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = momentum(learning_rate=0.1, momentum=0.5)
        >>> state = optimizer.init(jnp.array(0.0))
        >>> first, state = optimizer.update(jnp.array(1.0), state)
        >>> second, state = optimizer.update(jnp.array(1.0), state)
        >>> print(f"{first:.3f} {second:.3f}")
        -0.100 -0.150

    Source: Polyak 1964; Goodfellow et al. 2016, algorithm 8.2 (v with the opposite sign). The velocity
    is an exponentially weighted *sum*, not an average.

    Elsewhere: torch, optax and the cs231n slides put the rate outside.
    """
    return Momentum(
        learning_rate=check_rate("momentum(learning_rate)", learning_rate),
        momentum=check_number(
            "momentum(momentum)", momentum, "[0, 1]", "the usual value is 0.9; 0 is plain SGD"
        ),
        rate_outside=rate_outside,
        state_dtype=check_state_dtype("momentum(state_dtype)", state_dtype),
    )

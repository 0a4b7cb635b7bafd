"""Stochastic gradient descent: a step against the gradient."""

from typing import Any, NamedTuple

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment, leafwise
from jaxopt_notes.optimizers.momentum import Momentum
from jaxopt_notes.optimizers.momentum import momentum as momentum_sgd
from jaxopt_notes.optimizers.nesterov import Nesterov
from jaxopt_notes.optimizers.nesterov import nesterov as nesterov_sgd
from jaxopt_notes.record import Number, record
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class SGDState(NamedTuple):
    """Steps made."""

    count: jax.Array


@record
class SGD(Transform):
    """See `sgd`."""

    elementwise = True

    learning_rate: Rate

    def init(self, params: Tree) -> SGDState:
        return SGDState(first_step())

    def update(
        self, updates: Tree, state: SGDState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, SGDState]:
        (updates,) = leafwise(
            sgd_step, updates, params, rate=rate_at(self.learning_rate, state.count), accept=accept
        )
        return updates, SGDState(increment(state.count, accept))


def sgd_step(g, p, *, rate):
    """The update of one leaf: −η·g."""
    return -rate * g


def sgd(
    learning_rate: Rate = 1e-2, momentum: Number | None = None, nesterov: bool = False
) -> SGD | Momentum | Nesterov:
    """Stochastic gradient descent, with momentum if asked for.

        θ ← θ − η·g

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule. On a quadratic of largest curvature L it
            converges for η < 2/L.
        momentum: `None`, or α in [0, 1]: then v ← α·v + g and θ ← θ − η·v, the rate outside, as in
            `momentum(..., rate_outside=True)`.
        nesterov: with momentum, step along g + α·v instead, as in `nesterov(..., rate_outside=True)`.

    Returns:
        An `SGD` record (its state is a step counter), a `Momentum` or a `Nesterov` record.

    Raises:
        ValueError: a number outside its interval, or `nesterov` without momentum.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = sgd(learning_rate=0.5)
        >>> updates, _ = optimizer.update(jnp.array([1.0, -4.0]), optimizer.init(jnp.zeros(2)))
        >>> updates
        Array([-0.5,  2. ], dtype=float32)

    Source: Robbins & Monro 1951.

    Elsewhere: `optax.sgd` and `torch.optim.SGD` (dampening 0) are the same, with and without momentum.
    """
    if momentum is None:
        if nesterov:
            raise ValueError("sgd(nesterov) is True but momentum is None: give a momentum, such as 0.9.")
        return SGD(check_rate("sgd(learning_rate)", learning_rate))
    factory = nesterov_sgd if nesterov else momentum_sgd
    return factory(learning_rate, momentum, rate_outside=True)

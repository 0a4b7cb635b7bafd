"""Steps of one size: the sign of the gradient, and the sign of its average.

Only directions are used, coordinate by coordinate: the scale of the loss does not matter, a large
gradient moves a parameter no farther than a small one, and workers can vote with one bit each. Since
the size of the step never falls by itself, the rate must, if the end is to be more than η away.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
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


class SignSGDState(NamedTuple):
    """Steps made."""

    count: jax.Array


@record
class SignSGD(Transform):
    """See `sign_sgd`."""

    elementwise = True

    learning_rate: Rate

    def init(self, params: Tree) -> SignSGDState:
        return SignSGDState(first_step())

    def update(
        self, updates: Tree, state: SignSGDState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, SignSGDState]:
        rate = rate_at(self.learning_rate, state.count)
        (updates,) = leafwise(sign_step, updates, params, accept=accept, rate=rate)
        return updates, SignSGDState(increment(state.count, accept))


def sign_step(g, p, *, rate):
    """−η·sign(g) of one leaf; of a complex number the sign is g/|g|."""
    return -rate * jnp.sign(g)


def sign_sgd(learning_rate: Rate = 1e-3) -> SignSGD:
    """Gradient descent by the sign of the gradient.

        θ ← θ − η·sign(g)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule: how far every parameter moves, unless its
            gradient is 0.

    Returns:
        A `SignSGD` record; its state is the step number alone.

    Raises:
        ValueError: a negative rate.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = sign_sgd(learning_rate=0.5)
        >>> print(optimizer.update(jnp.array([3.0, -0.01, 0.0]), optimizer.init(jnp.zeros(3)))[0])
        [-0.5  0.5 -0. ]

    Source: Bernstein et al. 2018, algorithm 1: steepest descent in the maximum norm, without the
    factor ‖g‖₁.

    Elsewhere: `optax.sign_sgd`, the same; torch has none.
    """
    return SignSGD(check_rate("sign_sgd(learning_rate)", learning_rate))


class SignumState(NamedTuple):
    """Steps made, and the moving average of the gradient."""

    count: jax.Array
    mu: Tree


@record
class Signum(Transform):
    """See `signum`."""

    elementwise = True

    learning_rate: Rate
    beta: Number
    state_dtype: str | None = static()

    def init(self, params: Tree) -> SignumState:
        return SignumState(first_step(), *moments(params, (1,), self.state_dtype))

    def update(
        self, updates: Tree, state: SignumState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, SignumState]:
        updates, mu = leafwise(
            signum_step, updates, params, state.mu,
            accept=accept, rate=rate_at(self.learning_rate, state.count), beta=self.beta,
        )  # fmt: skip
        return updates, SignumState(increment(state.count, accept), mu)


def signum_step(g, p, m, *, rate, beta, store=store_always):
    """The update and the average of one leaf; the sign needs no correction for the start at zero."""
    m = store(m, beta * m + (1 - beta) * g)
    return -rate * jnp.sign(m), m


def signum(learning_rate: Rate = 1e-3, beta: Number = 0.9, state_dtype: DTypeLike | None = None) -> Signum:
    """Momentum, of which only the sign is used.

        m ← β·m + (1 − β)·g
        θ ← θ − η·sign(m)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule: how far every parameter moves.
        beta: β in [0, 1), the decay of the average; 0 is `sign_sgd`.
        state_dtype: precision of the average, see `moments`.

    Returns:
        A `Signum` record. Its state holds one average of the parameters' shapes.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = signum(learning_rate=0.5)
        >>> state = optimizer.init(jnp.zeros(1))
        >>> for gradient in (3.0, -1.0, -4.0):
        ...     update, state = optimizer.update(jnp.array([gradient]), state)
        ...     print(update)
        [-0.5]
        [-0.5]
        [0.5]

    Source: Bernstein et al. 2018, algorithm 2.

    Elsewhere: `optax.signum`, the same, without a default rate; torch has none. `lion` at b1 = b2.
    """
    return Signum(
        learning_rate=check_rate("signum(learning_rate)", learning_rate),
        beta=check_number("signum(beta)", beta, "[0, 1)", "the usual value is 0.9; 0 is sign_sgd"),
        state_dtype=check_state_dtype("signum(state_dtype)", state_dtype),
    )
